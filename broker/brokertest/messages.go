package brokertest

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"sync"
)

// delivery checks that a publication of any node reaches each node once.
func (k *kit) delivery() {
	k.subscribe("news", k.nodes...)
	var want []string
	for i, from := range k.nodes {
		data := strconv.Itoa(i)
		k.publish(from, "news", []byte(data))
		want = append(want, data)
		// Nothing is promised about the order of two callers: the next one
		// follows when this one is everywhere.
		for j, n := range k.nodes {
			if got := n.await("news", func(got []string) bool { return len(got) > i }); len(got) <= i {
				k.Fatalf("what node %d publishes does not reach node %d", i, j)
			}
		}
	}
	k.receives(k.first(), "news", want, k.nodes...)
	k.publish(k.first(), "nobody", []byte("1")) // has no subscribers, and must not fail
}

// data checks that data arrives as it was.
func (k *kit) data() {
	k.subscribe("data", k.nodes...)
	var want []string
	for _, data := range []string{
		nothing, "null", "true", "0", "-1.5e-7", `""`, `"null"`, "[]", "{}", `[null,{"a":[1,"b",null]}]`,
		`"quote \" backslash \\ slash / \u0000 \u2028 \ud83d\ude00 <&> é 😀"`,
		` { "channel" : "other" , "data" : { "channel" : "data" } } `,
		`{"event":"#publish","cid":1,"data":{}}`, `"#1"`, `""`,
		`"` + strings.Repeat("long ", 20_000) + `"`,
	} {
		if data == nothing {
			k.publish(k.first(), "data", nil)
		} else {
			k.publish(k.first(), "data", []byte(data))
		}
		want = append(want, data)
	}
	k.receives(k.first(), "data", want, k.nodes...)
	for i, n := range k.nodes {
		if names := n.channels(); len(names) != 1 {
			k.Errorf("node %d has received on the channels %q, want data alone", i, names)
		}
	}
}

// ownership checks that brokers neither keep nor change the data of a publisher.
func (k *kit) ownership() {
	k.subscribe("owned", k.nodes...)
	var want []string
	data := make([]byte, 8)
	for i := range 200 {
		text := strconv.Itoa(10_000_000 + i)
		copy(data, text)
		k.publish(k.first(), "owned", data)
		if string(data) != text {
			k.Fatalf("the broker has changed the data of its caller to %q", data)
		}
		copy(data, bytes.Repeat([]byte("9"), len(data)))
		want = append(want, text)
	}
	k.receives(k.first(), "owned", want, k.nodes...)
}

// strangeNames are names that have a meaning in some form or network, and pairs that
// are easily taken for one.
func strangeNames() []string {
	return []string{
		"a", "A", " a", "a ", "a.b", "a/b", "a.*", "a.>", "*", ">", "#", "$", "+", "a/#", "$SYS", "_INBOX.a",
		"#publish", "#subscribe", "0", "00", "1e0", "null", "true", "undefined",
		`"`, `\`, `\"`, `a","data":1,"b":"`, `{"channel":"a"}`, "'", "`", "a;b", "%00", "%2F", "${a}", "<a>", "&amp;",
		"a\x00", "a\x00b", "\r\n", "a\nPUB b 1\r\n1\r\n", "\t", "\u007f", "\u0085", "\u00a0", "\u2028", "\ufeff", "\ufeffa", "\ufffd",
		"é", "e\u0301", "ß", "SS", "İ", "i", "K", "k", "\U0001f600", "\u202ea", strings.Repeat("n", 1024), strings.Repeat("n", 1023),
		"constructor", "toString", "hasOwnProperty",
	}
}

// names checks that each name is a channel of its own.
func (k *kit) names() {
	names := strangeNames()
	for _, name := range names {
		k.subscribe(name, k.nodes...)
	}
	for i, name := range names {
		k.publish(k.last(), name, []byte(strconv.Itoa(i)))
	}
	for i, name := range names {
		k.receives(k.last(), name, []string{strconv.Itoa(i)}, k.nodes...)
	}
	for i, n := range k.nodes {
		if got := len(n.channels()); got != len(names) {
			k.Errorf("node %d has received on %d channels, want %d", i, got, len(names))
		}
	}
}

// order checks the order of one caller, on one channel.
func (k *kit) order() {
	k.subscribe("ordered", k.nodes...)
	var want []string
	for i := range 1000 {
		want = append(want, strconv.Itoa(i))
		k.publish(k.first(), "ordered", []byte(want[i]))
	}
	k.receives(k.first(), "ordered", want, k.nodes...)
}

// callers checks the order of several callers at once on several channels, and that
// nothing is lost or comes twice.
func (k *kit) callers() {
	const each, perChannel = 200, 4
	channels := []string{"left", "right"}
	for _, channel := range channels {
		k.subscribe(channel, k.nodes...)
	}
	var all sync.WaitGroup
	for _, channel := range channels {
		for caller := range perChannel {
			from := k.nodes[caller%len(k.nodes)]
			all.Go(func() {
				for i := range each {
					data := []byte(strconv.Itoa(caller*each + i))
					if err := k.call("Publish", func(ctx context.Context) error { return from.Publish(ctx, channel, data) }); err != nil {
						k.Errorf("Publish: %v", err)
						return
					}
				}
			})
		}
	}
	all.Wait()
	for _, channel := range channels {
		for i, n := range k.nodes {
			got := n.await(channel, func(got []string) bool { return len(got) >= each*perChannel })
			if len(got) != each*perChannel {
				k.Fatalf("node %d has received %d publications on %s, want %d", i, len(got), channel, each*perChannel)
			}
			next := make([]int, perChannel)
			for _, text := range got {
				number, err := strconv.Atoi(text)
				if err != nil || number < 0 || number >= each*perChannel {
					k.Fatalf("node %d has received %s", i, text)
				}
				caller := number / each
				if number%each != next[caller] {
					k.Fatalf("node %d has received number %d of a caller on %s, want number %d", i, number%each, channel, next[caller])
				}
				next[caller]++
			}
		}
	}
}
