package wire

// missingError replaces an error that the caller would not notice.
const missingError = `{"message":"Unknown error","name":"UnknownError"}`

// AppendTransmit appends {"event":event,"data":data}.
func AppendTransmit(dst []byte, event string, data []byte) []byte {
	dst = append(dst, `{"event":`...)
	dst = AppendString(dst, event)
	return append(appendData(dst, data), '}')
}

// AppendInvoke appends {"event":event,"cid":cid,"data":data}.
func AppendInvoke(dst []byte, event string, cid float64, data []byte) []byte {
	dst = append(dst, `{"event":`...)
	dst = AppendString(dst, event)
	dst = append(dst, `,"cid":`...)
	dst = AppendNumber(dst, cid)
	return append(appendData(dst, data), '}')
}

// AppendResponse appends {"rid":rid,"data":data}.
func AppendResponse(dst []byte, rid float64, data []byte) []byte {
	dst = append(dst, `{"rid":`...)
	dst = AppendNumber(dst, rid)
	return append(appendData(dst, data), '}')
}

// AppendErrorResponse appends {"rid":rid,"error":errJSON,"data":data}.
// JavaScript callers treat an absent or falsy error as success, so a generic
// error replaces it. Only clients of [Version1] use the data of an error.
func AppendErrorResponse(dst []byte, rid float64, errJSON, data []byte) []byte {
	dst = append(dst, `{"rid":`...)
	dst = AppendNumber(dst, rid)
	dst = append(dst, `,"error":`...)
	if isFalsy(errJSON) {
		dst = append(dst, missingError...)
	} else {
		dst = append(dst, errJSON...)
	}
	return append(appendData(dst, data), '}')
}

// AppendPublish appends {"event":"#publish","data":{"channel":channel,"data":data}}.
func AppendPublish(dst []byte, channel string, data []byte) []byte {
	dst = append(dst, `{"event":"#publish","data":{"channel":`...)
	dst = AppendString(dst, channel)
	return append(appendData(dst, data), "}}"...)
}

// AppendPublishAt appends {"event":"#publish","data":{"channel":channel,"position":position,"data":data}}.
// Clients that do not know positions ignore it.
func AppendPublishAt(dst []byte, channel, position string, data []byte) []byte {
	dst = append(dst, `{"event":"#publish","data":{"channel":`...)
	dst = AppendString(dst, channel)
	dst = append(dst, `,"position":`...)
	dst = AppendString(dst, position)
	return append(appendData(dst, data), "}}"...)
}

// AppendLost appends {"event":"#lost","data":{"channel":channel,"position":position,"lost":lost}},
// without a position if that is "". Clients that do not know the event ignore it.
func AppendLost(dst []byte, channel, position string, lost []byte) []byte {
	dst = append(dst, `{"event":"#lost","data":{"channel":`...)
	dst = AppendString(dst, channel)
	if position != "" {
		dst = append(dst, `,"position":`...)
		dst = AppendString(dst, position)
	}
	dst = append(dst, `,"lost":`...)
	return append(append(dst, lost...), "}}"...)
}

// AppendKickOut appends {"event":"#kickOut","data":{"channel":channel,"message":message}}.
func AppendKickOut(dst []byte, channel string, message []byte) []byte {
	dst = append(dst, `{"event":"#kickOut","data":{"channel":`...)
	dst = AppendString(dst, channel)
	if len(message) > 0 {
		dst = append(dst, `,"message":`...)
		dst = append(dst, message...)
	}
	return append(dst, "}}"...)
}

func appendData(dst, data []byte) []byte {
	if len(data) == 0 {
		return dst
	}
	dst = append(dst, `,"data":`...)
	return append(dst, data...)
}
