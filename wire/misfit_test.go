package wire_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	jsonx "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/socketcluster-go/socketcluster/wire"
)

type even int

func (e *even) UnmarshalJSON(text []byte) error { return errors.New("odd: " + string(text)) }

// own is read by its own means, as a map of maps.
type own struct{}

func (o *own) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	return jsonx.UnmarshalDecode(dec, new(map[string]map[string]int))
}

type page struct{ Size int }

// The place and the expected type are reported, whatever refuses the data, and
// nothing of its values and of the keys that the client has chosen.
func TestMisfit(t *testing.T) {
	type order struct {
		ID    int `json:"id"`
		Items []struct {
			Count uint8 `json:"count"`
		} `json:"items"`
		At    time.Time      `json:"at"`
		Even  even           `json:"even"`
		Names map[string]int `json:"names"`
		Blobs [][]byte       `json:"blobs"`
		N     json.Number    `json:"n"`
		Deep  map[string]map[int][]*struct {
			Count uint8
		} `json:"deep"`
		Own own `json:"own"`
		page
	}
	for _, test := range []struct{ data, path, expected string }{
		{`{"id":"secret"}`, "/id", "int"},
		{`{"id":1.5}`, "/id", "int"},
		{`{"ID":"secret"}`, "/id", "int"}, // the name of the field
		{`{"items":[{"count":1},{"count":900}]}`, "/items/1/count", "uint8"},
		{`{"items":{}}`, "/items", "[]struct { Count uint8 \"json:\\\"count\\\"\" }"},
		{`{"at":"secret"}`, "/at", "time.Time"},
		{`{"even":3}`, "/even", "wire_test.even"},
		{`{"names":{"a/b":"secret"}}`, "/names/*", "int"},
		{`{"names":{"\nid":"secret"}}`, "/names/*", "int"},
		{`{"deep":{"secret":{"1":[null,{"count":900}]}}}`, "/deep/*/*/1/Count", "uint8"},
		{`{"deep":{"secret":{"secret":[]}}}`, "/deep/*/*", "int"},
		{`{"own":{"secret":{"1":"secret"}}}`, "/own/*/*", "int"},
		{`{"size":"secret"}`, "/Size", "int"},
		{`{"blobs":[{"base64":true,"data":"AQL/"},{"base64":true,"data":"secret!"}]}`, "/blobs/1", "[]uint8"},
		{`{"blobs":["AQ==",{"base64":false}]}`, "/blobs/1", "[]uint8"},
		{`{"blobs":[{"base64":true,"data":"AQL/"}],"n":1,"id":"secret"}`, "/id", "int"}, // what comes before does fit
		{`{"n":{}}`, "/n", "json.Number"},
		{`{"n":"secret"}`, "/n", "json.Number"},
		{`"secret"`, "", "wire_test.order"},
		{`{"id":"secret","at":"secret"}`, "/id", "int"}, // the first one
		{`{"id":1}`, "", "wire_test.order"},             // fits, says whoever has refused it
	} {
		var v order
		if err := wire.Unmarshal([]byte(test.data), &v); err == nil && test.data != `{"id":1}` {
			t.Errorf("%s fits", test.data)
		}
		v = order{}
		path, expected := wire.Misfit([]byte(test.data), &v)
		if path != test.path || expected.String() != test.expected {
			t.Errorf("%s: %q, %v; want %q, %s", test.data, path, expected, test.path, test.expected)
		}
		if v.ID != 0 || v.Items != nil {
			t.Errorf("%s has changed the value: %v", test.data, v)
		}
	}
}
