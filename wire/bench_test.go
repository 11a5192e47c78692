package wire_test

import (
	"encoding/json"
	"testing"

	"github.com/socketcluster-go/socketcluster/wire"
)

var (
	publishMessage = []byte(`{"event":"#publish","data":{"channel":"room/42","data":{"from":"alice","text":"hello, world","tags":["a","b"],"at":1795431896123}},"cid":17}`)
	batchMessage   = []byte(`[{"event":"#subscribe","data":{"channel":"a"},"cid":2},{"event":"#subscribe","data":{"channel":"b"},"cid":3},{"event":"t","data":{"x":[1,2,3]}},{"rid":9,"data":true}]`)
	limits         = wire.Limits{BatchSize: 1000, Depth: 64}
)

func BenchmarkDecode(b *testing.B) {
	for _, m := range []struct {
		name string
		msg  []byte
	}{{"publish", publishMessage}, {"batch of 4", batchMessage}} {
		b.Run("wire/"+m.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(m.msg)))
			var d wire.Decoder
			var p wire.Packet
			for b.Loop() {
				if err := d.Reset(m.msg, limits); err != nil {
					b.Fatal(err)
				}
				for d.Next(&p) {
				}
			}
		})
		b.Run("encoding_json/"+m.name, func(b *testing.B) {
			type envelope struct {
				Event *string         `json:"event"`
				CID   *float64        `json:"cid"`
				RID   *float64        `json:"rid"`
				Data  json.RawMessage `json:"data"`
				Error json.RawMessage `json:"error"`
			}
			b.ReportAllocs()
			b.SetBytes(int64(len(m.msg)))
			for b.Loop() {
				var err error
				if m.msg[0] == '[' {
					var all []envelope
					err = json.Unmarshal(m.msg, &all)
				} else {
					var one envelope
					err = json.Unmarshal(m.msg, &one)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParsePublish(b *testing.B) {
	b.ReportAllocs()
	payload := []byte(`{"channel":"room/42","data":{"from":"alice","text":"hello, world","tags":["a","b"],"at":1795431896123}}`)
	for b.Loop() {
		if _, ok := wire.ParsePublish(payload); !ok {
			b.Fatal("refused")
		}
	}
}

func BenchmarkAppendPublish(b *testing.B) {
	b.ReportAllocs()
	data := []byte(`{"from":"alice","text":"hello, world"}`)
	dst := make([]byte, 0, 256)
	for b.Loop() {
		dst = wire.AppendPublish(dst[:0], "room/42", data)
	}
}

func BenchmarkMarshal(b *testing.B) {
	v := map[string]any{"from": "alice", "n": 1.5, "tags": []string{"a", "b"}}
	b.Run("wire", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := wire.Marshal(v); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding_json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(v); err != nil {
				b.Fatal(err)
			}
		}
	})
}
