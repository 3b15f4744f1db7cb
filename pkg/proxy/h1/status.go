package h1

// StatusText is the reason phrase of a status code as HAProxy writes it, "" if unknown.
func StatusText(status int) string {
	switch status {
	case 100:
		return "Continue"
	case 101:
		return "Switching Protocols"
	case 200:
		return "OK"
	case 201:
		return "Created"
	case 202:
		return "Accepted"
	case 203:
		return "Non-Authoritative Information"
	case 204:
		return "No Content"
	case 205:
		return "Reset Content"
	case 206:
		return "Partial Content"
	case 300:
		return "Multiple Choices"
	case 301:
		return "Moved Permanently"
	case 302:
		return "Found"
	case 303:
		return "See Other"
	case 304:
		return "Not Modified"
	case 307:
		return "Temporary Redirect"
	case 308:
		return "Permanent Redirect"
	}
	return errorText(status)
}

// errorText has the phrases of 4xx and 5xx.
func errorText(status int) string {
	switch status {
	case 400:
		return "Bad request"
	case 401, 407:
		return "Unauthorized"
	case 402:
		return "Payment Required"
	case 403:
		return "Forbidden"
	case 404:
		return "Not Found"
	case 405:
		return "Method Not Allowed"
	case 406:
		return "Not Acceptable"
	case 408:
		return "Request Time-out"
	case 409:
		return "Conflict"
	case 410:
		return "Gone"
	case 411:
		return "Length Required"
	case 412:
		return "Precondition Failed"
	case 413:
		return "Payload Too Large"
	case 414:
		return "URI Too Long"
	case 415:
		return "Unsupported Media Type"
	case 416:
		return "Range Not Satisfiable"
	case 417:
		return "Expectation Failed"
	case 418:
		return "I'm a teapot"
	case 421:
		return "Misdirected Request"
	case 422:
		return "Unprocessable Content"
	case 425:
		return "Too Early"
	case 426:
		return "Upgrade Required"
	case 428:
		return "Precondition Required"
	case 429:
		return "Too Many Requests"
	case 431:
		return "Request Header Fields Too Large"
	case 451:
		return "Unavailable For Legal Reasons"
	case 500:
		return "Internal Server Error"
	case 501:
		return "Not Implemented"
	case 502:
		return "Bad Gateway"
	case 503:
		return "Service Unavailable"
	case 504:
		return "Gateway Time-out"
	case 505:
		return "HTTP Version Not Supported"
	}
	return ""
}

// errorSentence is the sentence in the body of an error response.
func errorSentence(status int) string {
	switch status {
	case 200:
		return "Service ready."
	case 400:
		return "Your browser sent an invalid request."
	case 401, 407:
		return "You need a valid user and password to access this content."
	case 403:
		return "Request forbidden by administrative rules."
	case 404:
		return "The resource could not be found."
	case 405:
		return "A request was made of a resource using a request method not supported by that resource"
	case 408:
		return "Your browser didn't send a complete request in time."
	case 410:
		return "The resource is no longer available and will not be available again."
	case 413:
		return "The request entity exceeds the maximum allowed."
	case 414:
		return "The address of the request is longer than this server reads."
	case 421:
		return "Request sent to a non-authoritative server."
	case 422:
		return "The server cannot process the contained instructions."
	case 425:
		return "Your browser sent early data."
	case 429:
		return "You have sent too many requests in a given amount of time."
	case 431:
		return "The header fields of the request are larger than this server reads."
	case 500:
		return "An internal server error occurred."
	case 501:
		return ".The server does not support the functionality required to fulfill the request."
	case 502:
		return "The server returned an invalid or incomplete response."
	case 503:
		return "No server is available to handle this request."
	case 504:
		return "The server didn't respond in time."
	case 505:
		return "The version of HTTP in the request is not supported."
	}
	return "The request was not served."
}
