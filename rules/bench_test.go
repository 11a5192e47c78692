package rules_test

import (
	"testing"

	"github.com/socketcluster-go/socketcluster/rules"
)

func BenchmarkDecide(b *testing.B) {
	set := newSet(b,
		rules.Rule{Channel: "chat", Subscribe: rules.Anyone, Publish: rules.Authenticated},
		rules.Rule{Channel: "user/{username}"},
		rules.Rule{Channel: "room/*", In: "rooms"},
		rules.Rule{In: "channels"},
	)
	token := tokenOf(b, `{"username":"alice","rooms":["staff","kitchen"],"channels":["engineering","science","mathematics"],"sid":"b2f7c1d04e","iat":1700000000,"exp":1700086400}`)
	for name, allowed := range map[string]bool{"chat": true, "user/alice": true, "room/kitchen": true, "mathematics": true, "room/other": false, "nothing": false} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if set.Decide(rules.Publish, name, token).Allowed != allowed {
					b.Fatal("decided otherwise")
				}
			}
		})
	}
}
