package h2

import "encoding/binary"

// Type is the type of a frame (RFC 9113, section 6).
type Type uint8

// The types.
const (
	Data Type = iota
	Headers
	Priority
	RSTStream
	Settings
	PushPromise
	Ping
	GoAway
	WindowUpdate
	Continuation
)

// Fixed says that all frames of the type have the same length, which is at most LongestFixed.
func (t Type) Fixed() bool {
	switch t {
	case Ping, RSTStream, WindowUpdate, Priority:
		return true
	}
	return false
}

// LongestFixed is the longest that a frame of a fixed length can be.
const LongestFixed = 8

// Flags of a frame. What a bit means depends on the type.
type Flags uint8

// The flags.
const (
	EndStream   Flags = 0x1 // Data, Headers
	Ack         Flags = 0x1 // Settings, Ping
	EndHeaders  Flags = 0x4 // Headers, Continuation
	Padded      Flags = 0x8 // Data, Headers
	HasPriority Flags = 0x20
)

// Has says whether all bits of g are set.
func (f Flags) Has(g Flags) bool { return f&g == g }

// Code says why a stream or a connection ends (RFC 9113, section 7).
type Code uint32

// The codes.
const (
	NoError          Code = 0x0
	ProtocolError    Code = 0x1
	InternalError    Code = 0x2
	FlowControlError Code = 0x3
	StreamClosed     Code = 0x5
	FrameSizeError   Code = 0x6
	RefusedStream    Code = 0x7
	Cancel           Code = 0x8
	CompressionError Code = 0x9
	EnhanceYourCalm  Code = 0xb
)

// SettingID is the name of a setting (RFC 9113, section 6.5.2).
type SettingID uint16

// The settings.
const (
	HeaderTableSize      SettingID = 0x1
	EnablePush           SettingID = 0x2
	MaxConcurrentStreams SettingID = 0x3
	InitialWindowSize    SettingID = 0x4
	MaxFrameSize         SettingID = 0x5
	MaxHeaderListSize    SettingID = 0x6
)

// Setting is one of a SETTINGS frame.
type Setting struct {
	ID    SettingID
	Value uint32
}

// Sizes that the protocol fixes.
const (
	Preface       = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	FrameHead     = 9       // bytes in front of each frame
	FrameSize     = 1 << 14 // the largest frame that everybody must take
	MaxFrame      = 1<<24 - 1
	MaxWindow     = 1<<31 - 1
	DefaultWindow = 1<<16 - 1
	MaxStreamID   = 1<<31 - 1
	SettingSize   = 6
	PrioritySize  = 5 // of what PRIORITY has in it, and HEADERS in front of its fields
	GoAwaySize    = 8 // the least that GOAWAY has in it
)

// Frame is the head of a frame.
type Frame struct {
	Length int
	Type   Type
	Flags  Flags
	Stream uint32
}

// ParseFrame reads a frame's head, of which b has at least FrameHead bytes.
func ParseFrame(b []byte) Frame {
	_ = b[FrameHead-1]
	return Frame{
		Length: int(b[0])<<16 | int(b[1])<<8 | int(b[2]), Type: Type(b[3]), Flags: Flags(b[4]),
		Stream: binary.BigEndian.Uint32(b[5:]) & MaxStreamID,
	}
}

// Put writes the head to the start of b, which has at least FrameHead bytes.
func (f Frame) Put(b []byte) {
	_ = b[FrameHead-1]
	b[0], b[1], b[2] = byte(f.Length>>16), byte(f.Length>>8), byte(f.Length)
	b[3], b[4] = byte(f.Type), byte(f.Flags)
	binary.BigEndian.PutUint32(b[5:], f.Stream)
}

// Append appends the head to dst.
func (f Frame) Append(dst []byte) []byte {
	var b [FrameHead]byte
	f.Put(b[:])
	return append(dst, b[:]...)
}

// Carries says whether the frame has something in it. A client may send others for as long as it likes at hardly any cost to
// itself: pings, settings, resets, priorities, continuations, unknown types, empty DATA. Updates of windows count as something:
// there are as many as a client has to receive.
func (f Frame) Carries() bool {
	switch f.Type {
	case Data:
		return f.Length > 0 || f.Flags.Has(EndStream)
	case Headers, WindowUpdate:
		return true
	default:
		return false
	}
}

// AppendSettings appends a SETTINGS frame.
func AppendSettings(dst []byte, settings ...Setting) []byte {
	dst = Frame{Length: len(settings) * SettingSize, Type: Settings}.Append(dst)
	for _, s := range settings {
		dst = binary.BigEndian.AppendUint16(dst, uint16(s.ID))
		dst = binary.BigEndian.AppendUint32(dst, s.Value)
	}
	return dst
}

// ParseSetting reads one setting, of which b has at least SettingSize bytes.
func ParseSetting(b []byte) Setting {
	return Setting{SettingID(binary.BigEndian.Uint16(b)), binary.BigEndian.Uint32(b[2:])}
}

// DependsOn is the stream that a priority makes its own depend on; b has at least PrioritySize bytes.
func DependsOn(b []byte) uint32 { return binary.BigEndian.Uint32(b) & MaxStreamID }

// AppendSettingsAck appends the answer to SETTINGS.
func AppendSettingsAck(dst []byte) []byte { return Frame{Type: Settings, Flags: Ack}.Append(dst) }

// AppendPingAck appends the answer to a PING with this content.
func AppendPingAck(dst, content []byte) []byte {
	return append(Frame{Length: len(content), Type: Ping, Flags: Ack}.Append(dst), content...)
}

// AppendPing appends a PING with this content, of 8 bytes.
func AppendPing(dst []byte, content string) []byte {
	return append(Frame{Length: len(content), Type: Ping}.Append(dst), content...)
}

// AppendWindowUpdate appends an increment of a stream's window, or with 0 of the connection's.
func AppendWindowUpdate(dst []byte, stream uint32, by int) []byte {
	dst = Frame{Length: 4, Type: WindowUpdate, Stream: stream}.Append(dst)
	return binary.BigEndian.AppendUint32(dst, uint32(by))
}

// AppendReset appends RST_STREAM.
func AppendReset(dst []byte, stream uint32, why Code) []byte {
	dst = Frame{Length: 4, Type: RSTStream, Stream: stream}.Append(dst)
	return binary.BigEndian.AppendUint32(dst, uint32(why))
}

// AppendGoAway appends GOAWAY. last is the last stream that is, or may be, taken.
func AppendGoAway(dst []byte, last uint32, why Code) []byte {
	dst = Frame{Length: 8, Type: GoAway}.Append(dst)
	dst = binary.BigEndian.AppendUint32(dst, last)
	return binary.BigEndian.AppendUint32(dst, uint32(why))
}

// ControlSize is the most that one of the frames above takes, SETTINGS apart.
const ControlSize = FrameHead + 8
