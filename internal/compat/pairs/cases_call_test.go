package pairs

import (
	"encoding/json"
	"strconv"
	"strings"
)

func callCases() []testCase {
	echo := func(text string) step { return do("invoke", "echo", json.RawMessage(text)).gives(text) }
	long := strconv.Quote(strings.Repeat("a long text, ", 20_000))
	return []testCase{
		{name: "echo of values of JSON", steps: connected(
			echo(`null`), echo(`true`), echo(`false`), echo(`0`), echo(`-1.5`), echo(`9007199254740991`), echo(`""`), echo(`"text"`),
			echo(`[]`), echo(`[1,[2,[3]],null]`), echo(`{}`), echo(`{"a":{"b":[{"c":null}]},"":0}`),
		)},
		{name: "echo of no data", steps: connected(do("invoke", "echo"))},
		{name: "echo of a number beyond 53 bits", steps: connected(
			echo(`9007199254740993`).but("JavaScript rounds", value(`9007199254740992`), goTo20, goTo14, npmToOurs),
		)},
		{name: "echo of any text", steps: connected(
			echo(`"h\u00e9llo \ud83c\udf0d \u2028\u2029 <&> \\ \" \u0000\u001f\u007f"`),
			echo(`"#publish"`), echo(`"[{\"rid\":1}]"`),
		)},
		{name: "echo of a long text", steps: connected(echo(long))},
		{name: "echo of a long text, compressed", steps: []step{
			create(options{Compress: true}, ""),
			do("connect").gives(guest),
			echo(long),
		}},
		{name: "bytes", steps: connected(do("invoke", "bytes").gives(`{"base64":true,"data":"AAH+/w=="}`))},
		{name: "raw messages", steps: connected(
			do("invoke", "sendRaw", "hello"),
			do("raws").gives(`["hello"]`),
		)},
		{name: "a batch of the server", steps: connected(
			do("invoke", "sendBatch", map[string]any{"event": "note", "from": 1, "to": 3}),
			do("receives", `{"event":"note","data":1},{"event":"note","data":2}`), // only batches do
			do("received").gives("[1,2,3]"),
		)},
		{name: "an error with a name, a message and fields", steps: connected(
			do("invoke", "fail", json.RawMessage(`{"name":"PriceError","message":"too dear","limit":7,"tags":["a",{"b":null}]}`)).
				fails(`{"name":"PriceError","message":"too dear","limit":7,"tags":["a",{"b":null}]}`),
		)},
		{name: "an error that is a text", steps: connected(do("invoke", "fail", "no").fails(`"no"`))},
		{name: "many calls at once", steps: connected(
			do("invoke", "name", "@a"),
			do("invoke", "silent").begin("silent").
				fails(`{"name":"BadConnectionError","message":"Event silent was aborted due to a bad connection","type":"disconnect","code":1000,"reason":"Socket closed normally"}`),
			do("invoke", "echo", 1).begin("one").gives("1"),
			do("invoke", "fail", "two").begin("two").fails(`"two"`),
			do("invoke", "echo", 3).begin("three").gives("3"),
			do("invoke", "echo", 4).begin("four").gives("4"),
			await("four"), await("two"), await("one"), await("three"),
			do("invoke", "silenced", "@a"), // or silent might not be under way
			do("disconnect"),
			await("silent"),
		)},
		{name: "an error of the server's code", steps: connected(
			do("invoke", "crash").fails(`{"message":"the password of the database is wrong"}`).
				but("this server keeps it from clients", failure(`{"name":"InternalError","message":"An internal error occurred"}`), ourServers...),
		)},
		{name: "an unknown procedure", steps: connected(
			do("invokeWithin", 200, "nobody", 1).
				fails(`{"name":"TimeoutError","message":"Event response for nobody event timed out"}`).
				but("this server answers", failure(`{"name":"UnknownProcedureError","message":"The server has no such procedure"}`), ourServers...),
		)},
		{name: "a call that is not answered in time", steps: connected(
			do("invokeWithin", 100, "silent").fails(`{"name":"TimeoutError","message":"Event response for silent event timed out"}`),
			do("invoke", "echo", 1).gives("1"),
		)},
		{name: "transmissions arrive in order", steps: connected(
			do("transmit", "note", 1), do("transmit", "note", "two"), do("transmit", "note", nil), do("transmit", "note", []int{4}),
			do("invoke", "received", 4).gives(`[1,"two",null,[4]]`),
		)},
		{name: "the server's transmissions arrive in order", steps: connected(
			do("invoke", "sendBack", map[string]any{"event": "note", "from": 1, "to": 12}),
			do("received").gives("[1,2,3,4,5,6,7,8,9,10,11,12]"),
		)},
		{name: "the server calls the client", steps: connected(
			do("invoke", "callBack", map[string]any{"procedure": "greet", "data": "server"}).gives(`{"answer":{"greeting":"Hello server"}}`),
		)},
		{name: "the server gets an error of the client", steps: connected(
			do("invoke", "callBack", map[string]any{"procedure": "refuse", "data": [2]int{1, 2}}).
				gives(`{"error":{"name":"RefusedError","message":"I would rather not","reason":{"why":[1,2]}}}`),
		)},
		{name: "the server calls a procedure that the client does not have", steps: connected(
			do("invoke", "callBack", map[string]any{"procedure": "nobody", "data": 1, "timeout": 200}).
				gives(`{"error":{"name":"UnknownProcedureError","message":"The client has no such procedure"}}`).
				but("socketcluster-client does not answer", value(`{"error":{"name":"TimeoutError","message":"Event response for nobody event timed out"}}`), npmToOurs),
		)},
	}
}
