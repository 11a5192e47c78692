package socketcluster_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

// lines returns what has been logged since the last call, without the times.
func (w *world) lines() (lines []string) {
	synctest.Wait()
	for line := range strings.Lines(w.logs.String()) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		lines = append(lines, rest)
	}
	w.logs.Reset()
	return lines
}

func (w *world) wantLines(want ...string) {
	w.t.Helper()
	if got := w.lines(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		w.t.Errorf("logged\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

const misfitLine = ` msg="a client has sent data that does not have the form that a handler expects" `

// Who looks for the mistake finds in the log where data does not fit; the client is
// told no more than that it does not, and no value is logged.
func TestMisfitsAreLogged(t *testing.T) {
	type order struct {
		Items []struct{ Count int } `json:"items"`
	}
	inBubble(t, socketcluster.Config{}, func(w *world) {
		w.srv.Handle("order", socketcluster.Func(func(context.Context, *socketcluster.Call, order) (any, error) { return nil, nil }))
		w.srv.HandleRest(socketcluster.Func(func(context.Context, *socketcluster.Call, int) (any, error) { return nil, nil }))
		w.srv.Receive("order", socketcluster.Recv(func(context.Context, *socketcluster.Transmission, order) error { return nil }))
		var told []error
		socketcluster.On(w.srv, func(e socketcluster.WarningEvent) { told = append(told, e.Err) })
		p := w.client()
		refused := `{"rid":2,"error":{"message":"The data does not have the form that is expected here","name":"InvalidArgumentsError"}}`
		w.lines()

		p.send(`{"event":"order","cid":2,"data":{"items":[{"Count":1},{"Count":"secret"}]}}`)
		p.want(refused)
		w.wantLines(`level=INFO` + misfitLine + `procedure=order path=/items/1/Count expected=int`)
		if told != nil {
			t.Errorf("a call is answered, not told of: %v", told)
		}

		// Clients must not fill the log.
		p.send(`{"event":"order","data":{"items":"secret"}}`)
		w.wantLines(`level=DEBUG` + misfitLine + `receiver=order path=/items expected="[]struct { Count int }"`)
		if len(told) != 1 || !errors.Is(told[0], wire.ErrInvalidArguments) || !strings.Contains(told[0].Error(), `at "/items", []struct { Count int } is expected`) {
			t.Errorf("told of %v", told)
		}

		// What the client has chosen is cut.
		time.Sleep(time.Second)
		p.send(fmt.Sprintf(`{"event":%q,"cid":2,"data":{"%s":"secret"}}`, strings.Repeat("p", 1000), strings.Repeat("k", 1000)))
		p.want(refused)
		w.wantLines(`level=INFO` + misfitLine + `procedure=` + strings.Repeat("p", 256) + ` path="" expected=int`)
	})
}

// Nobody but the log and listeners gets to know why a receiver has failed.
func TestReceiverErrorsAreLogged(t *testing.T) {
	inBubble(t, socketcluster.Config{}, func(w *world) {
		errs := []error{errors.New("the database is down"), &wire.Error{Name: "QuotaError", Message: "too many"}}
		w.srv.Receive("x", socketcluster.Recv(func(_ context.Context, _ *socketcluster.Transmission, i int) error { return errs[i] }))
		w.srv.Handle("x", socketcluster.Func(func(_ context.Context, _ *socketcluster.Call, i int) (any, error) { return nil, errs[i] }))
		p := w.client()
		w.lines()
		const internal = `level=ERROR msg="error kept from the client" error="the database is down" `
		p.send(`{"event":"x","cid":2,"data":0}`)
		p.next()
		w.wantLines(internal + `procedure=x`)
		p.send(`{"event":"x","data":0}`)
		w.wantLines(internal + `receiver=x`)
		p.send(`{"event":"x","data":1}`)
		w.wantLines(`level=INFO msg="a receiver has refused data of a client" receiver=x error="QuotaError: too many"`)
		p.send(`{"event":"x","data":1}`)
		w.wantLines(`level=DEBUG msg="a receiver has refused data of a client" receiver=x error="QuotaError: too many"`)
		p.send(`{"event":"x","cid":2,"data":1}`)
		p.want(`{"rid":2,"error":{"message":"too many","name":"QuotaError"}}`)
		w.wantLines() // the client knows
	})
}
