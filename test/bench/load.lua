-- What wrk runs: spread its threads over BENCH_TARGETS, and say in one line of JSON what came of it.
-- The CPU times are read here, next to the load, so that starting and ending wrk is not in them.

local targets, threads, before = {}, 0, nil
for target in os.getenv("BENCH_TARGETS"):gmatch("%S+") do
	targets[#targets + 1] = target
end

local function cpu()
	local file = assert(io.open("/proc/stat"))
	local line = file:read("*l")
	file:close()
	return line
end

function setup(thread)
	before = before or cpu() -- the first thread runs while the next is set up
	local host, port = targets[threads % #targets + 1]:match("^(.+):(%d+)$")
	thread.addr = wrk.lookup(host, port)[1]
	threads = threads + 1
end

function done(summary, latency)
	local e = summary.errors
	io.write(string.format(
		'\nBENCH {"before":"%s","after":"%s","duration":%d,"requests":%d,"bytes":%d,"errors":%d,"p50":%d,"p99":%d}\n',
		before, cpu(), summary.duration, summary.requests, summary.bytes,
		e.connect + e.read + e.write + e.status + e.timeout,
		latency:percentile(50), latency:percentile(99)))
end
