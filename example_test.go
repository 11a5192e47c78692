package socketcluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/wire"
)

// A server is an http.Handler for one path of whatever mux the application
// has. socketcluster-client connects to that path by default.
func Example() {
	srv, err := socketcluster.New(socketcluster.Config{
		Auth: auth.Options{Key: "at least 32 bytes that nobody else knows"},
	})
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	srv.Handle("greet", socketcluster.Func(func(ctx context.Context, name string) (string, error) {
		return "Hello, " + name, nil
	}))

	mux := http.NewServeMux()
	mux.Handle("GET "+socketcluster.DefaultPath, srv)
	site := httptest.NewServer(mux) // http.ListenAndServe(":8000", mux) in an application
	defer site.Close()

	client := dialExample(site.URL) // in JavaScript: socketClusterClient.create({port: 8000})
	defer client.close()
	client.send(`{"event":"#handshake","data":{"authToken":null},"cid":1}`)
	fmt.Println(client.next())
	client.send(`{"event":"greet","data":"Alice","cid":2}`)
	fmt.Println(client.next())
	// Output:
	// {"rid":1,"data":{"id":"<id>","pingTimeout":30000,"isAuthenticated":false}}
	// {"rid":2,"data":"Hello, Alice"}
}

// The data of a call is decoded into the type of the function's argument, and
// the result of the function is the answer. An error reaches the client
// unchanged only if it was made for clients, as by Errorf.
func ExampleFunc() {
	type order struct {
		Item  string `json:"item"`
		Count int    `json:"count"`
	}
	type receipt struct {
		Total int `json:"total"`
	}
	srv := exampleServer(socketcluster.Config{})
	srv.Handle("buy", socketcluster.Func(func(ctx context.Context, in order) (receipt, error) {
		if in.Count < 1 {
			return receipt{}, socketcluster.Errorf("OrderError", "Nothing was ordered")
		}
		return receipt{Total: 5 * in.Count}, nil
	}))

	client := connectExample(srv)
	defer client.close()
	client.send(`{"event":"buy","data":{"item":"tea","count":3},"cid":2}`)
	fmt.Println(client.next())
	client.send(`{"event":"buy","data":{"item":"tea"},"cid":3}`)
	fmt.Println(client.next())
	client.send(`{"event":"buy","data":"tea","cid":4}`)
	fmt.Println(client.next())
	// Output:
	// {"rid":2,"data":{"total":15}}
	// {"rid":3,"error":{"message":"Nothing was ordered","name":"OrderError"}}
	// {"rid":4,"error":{"message":"The data does not have the form that is expected here","name":"InvalidArgumentsError"}}
}

// Proc makes a handler of a function that answers with no data. FromContext returns the
// socket of the client who calls.
func ExampleProc() {
	type credentials struct{ Username, Password string }
	srv := exampleServer(socketcluster.Config{})
	srv.Handle("login", socketcluster.Proc(func(ctx context.Context, in credentials) error {
		if in.Username != "alice" || in.Password != "secret" {
			return socketcluster.Errorf("LoginError", "Wrong name or password")
		}
		return socketcluster.FromContext(ctx).SetAuthToken(ctx, map[string]any{"username": in.Username})
	}))

	client := connectExample(srv)
	defer client.close()
	client.send(`{"event":"login","data":{"username":"alice","password":"guess"},"cid":2}`)
	fmt.Println(client.next())
	// Output: {"rid":2,"error":{"message":"Wrong name or password","name":"LoginError"}}
}

// Receive takes what clients transmit, which is not answered.
func ExampleServer_Receive() {
	srv := exampleServer(socketcluster.Config{})
	moves := make(chan string, 1)
	srv.Receive("move", socketcluster.Recv(func(_ context.Context, to [2]int) error {
		moves <- fmt.Sprintf("moved to %d, %d", to[0], to[1])
		return nil
	}))

	client := connectExample(srv)
	defer client.close()
	client.send(`{"event":"move","data":[3,4]}`)
	fmt.Println(<-moves)
	// Output: moved to 3, 4
}

// Middleware decides on what clients do. Use adds it for one type of action; here
// clients may subscribe to public channels only.
func ExampleUse() {
	srv := exampleServer(socketcluster.Config{})
	socketcluster.Use(srv, func(_ context.Context, a *socketcluster.Subscribe) error {
		if !strings.HasPrefix(a.Channel, "public/") {
			return socketcluster.Errorf("SubscribeError", "You may not read %s", a.Channel)
		}
		return nil
	})

	client := connectExample(srv)
	defer client.close()
	client.send(`{"event":"#subscribe","data":{"channel":"public/news"},"cid":2}`)
	fmt.Println(client.next())
	client.send(`{"event":"#subscribe","data":{"channel":"drafts"},"cid":3}`)
	fmt.Println(client.next())
	// Output:
	// {"rid":2}
	// {"rid":3,"error":{"message":"You may not read drafts","name":"SubscribeError"}}
}

// Middleware may change the data of an action. Here the server, not the client,
// sets the time of a message.
func ExampleUse_data() {
	srv := exampleServer(socketcluster.Config{})
	socketcluster.Use(srv, func(_ context.Context, a *socketcluster.PublishIn) error {
		var message map[string]any
		if err := json.Unmarshal(a.Data, &message); err != nil || message == nil { // null is not an object
			return socketcluster.Errorf("PublishError", "A message must be an object")
		}
		message["year"] = 2026
		data, err := json.Marshal(message)
		a.Data = data
		return err
	})

	client := connectExample(srv)
	defer client.close()
	client.send(`{"event":"#subscribe","data":{"channel":"chat"},"cid":2}`)
	fmt.Println(client.next())
	client.send(`{"event":"#publish","data":{"channel":"chat","data":{"text":"hi","year":1}}}`)
	fmt.Println(client.next())
	client.send(`{"event":"#publish","data":{"channel":"chat","data":null},"cid":3}`)
	fmt.Println(client.next())
	// Output:
	// {"rid":2}
	// {"event":"#publish","data":{"channel":"chat","data":{"text":"hi","year":2026}}}
	// {"rid":3,"error":{"message":"A message must be an object","name":"PublishError"}}
}

// ErrBlocked blocks without a reason. Silent blocks with a reason that only
// the server gets to know.
func ExampleSilent() {
	srv := exampleServer(socketcluster.Config{})
	socketcluster.Use(srv, func(_ context.Context, a *socketcluster.Invoke) error {
		return socketcluster.Silent(socketcluster.Errorf("QuotaError", "too many calls of %s", a.Procedure))
	})
	warnings := make(chan error, 1)
	socketcluster.On(srv, func(e socketcluster.WarningEvent) { warnings <- e.Err })

	client := connectExample(srv)
	defer client.close()
	client.send(`{"event":"report","cid":2}`)
	fmt.Println(client.next())
	fmt.Println(<-warnings)
	// Output:
	// {"rid":2,"error":{"message":"The invoke AGAction was blocked by inbound middleware","name":"SilentMiddlewareBlockedError","type":"inbound"}}
	// QuotaError: too many calls of report
}

// On calls a function for each event, in order. The socket's own events can
// be listened to from the handler of its connect event on.
func ExampleOn() {
	srv := exampleServer(socketcluster.Config{})
	gone := make(chan wire.CloseCode, 1)
	socketcluster.On(srv, func(e socketcluster.ConnectEvent) {
		fmt.Println("connected, authenticated:", e.IsAuthenticated)
		socketcluster.On(e.Socket, func(e socketcluster.DisconnectEvent) { gone <- e.Code })
	})

	client := connectExample(srv)
	client.close()
	fmt.Println("disconnected:", <-gone)
	// Output:
	// connected, authenticated: false
	// disconnected: 1000
}

// Events is On as a sequence. Events count from the call of Events on, so that
// a loop in a goroutine misses none.
func ExampleEvents() {
	srv := exampleServer(socketcluster.Config{})
	subscriptions := socketcluster.Events[socketcluster.SubscribeEvent](context.Background(), srv)

	client := connectExample(srv)
	defer client.close()
	client.send(`{"event":"#subscribe","data":{"channel":"a"},"cid":2}`)
	client.send(`{"event":"#subscribe","data":{"channel":"b","data":{"since":7}},"cid":3}`)
	n := 0
	for e := range subscriptions {
		fmt.Println(e.Channel, string(e.Options))
		if n++; n == 2 {
			break
		}
	}
	// Output:
	// a {}
	// b {"data":{"since":7}}
}

// Procedure supports the form of handlers in JavaScript: a loop over the calls
// of one socket. The sequence is made in the handler of the connect event, so
// that no call arrives before it.
func ExampleSocket_Procedure() {
	srv := exampleServer(socketcluster.Config{})
	socketcluster.On(srv, func(e socketcluster.ConnectEvent) {
		calls := e.Socket.Procedure("count").All()
		go func() {
			n := 0
			for call := range calls { // ends with the socket
				n++
				call.Reply(n)
			}
		}()
	})

	client := connectExample(srv)
	defer client.close()
	client.send(`{"event":"count","cid":2}`)
	fmt.Println(client.next())
	client.send(`{"event":"count","cid":3}`)
	fmt.Println(client.next())
	// Output:
	// {"rid":2,"data":1}
	// {"rid":3,"data":2}
}

// The exchange publishes on behalf of the server.
func ExampleExchange_Publish() {
	srv := exampleServer(socketcluster.Config{})
	client := connectExample(srv)
	defer client.close()
	client.send(`{"event":"#subscribe","data":{"channel":"prices"},"cid":2}`)
	fmt.Println(client.next())

	err := srv.Exchange().Publish(context.Background(), "prices", map[string]int{"tea": 5})
	fmt.Println(client.next(), err)
	// Output:
	// {"rid":2}
	// {"event":"#publish","data":{"channel":"prices","data":{"tea":5}}} <nil>
}

// Messages yields the decoded publications on a channel. For data of another
// form it yields an error, after which the loop may continue.
func ExampleMessages() {
	type chat struct {
		From string `json:"from"`
		Text string `json:"text"`
	}
	srv := exampleServer(socketcluster.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	messages, err := srv.Exchange().Subscribe(ctx, "room")
	if err != nil {
		log.Fatal(err)
	}

	client := connectExample(srv)
	defer client.close()
	client.send(`{"event":"#publish","data":{"channel":"room","data":{"from":"alice","text":"hi"}}}`)
	client.send(`{"event":"#publish","data":{"channel":"room","data":"not a chat"}}`)
	client.send(`{"event":"#publish","data":{"channel":"room","data":{"from":"alice","text":"bye"}}}`)
	for m, err := range socketcluster.Messages[chat](messages) {
		if err != nil {
			fmt.Println("something else was published")
			continue
		}
		fmt.Println(m.From, "says", m.Text)
		if m.Text == "bye" {
			break
		}
	}
	// Output:
	// alice says hi
	// something else was published
	// alice says bye
}

// SetAuthToken logs a client in over its socket. The token is sent before the
// answer, so that a client whose call has succeeded has it.
func ExampleSocket_SetAuthToken() {
	type credentials struct{ Username, Password string }
	type claims struct {
		Username string `json:"username"`
	}
	srv := exampleServer(socketcluster.Config{})
	srv.Handle("login", socketcluster.Proc(func(ctx context.Context, in credentials) error {
		if in.Username != "alice" || in.Password != "secret" { // an application asks its database, behind a login.Gate
			return socketcluster.Errorf("LoginError", "Invalid user credentials")
		}
		return socketcluster.FromContext(ctx).SetAuthToken(ctx, claims{Username: "alice"}) // the name in the table
	}))

	client := connectExample(srv)
	defer client.close()
	client.send(`{"event":"login","data":{"username":"alice","password":"guess"},"cid":2}`)
	fmt.Println(client.next())
	client.send(`{"event":"login","data":{"username":"alice","password":"secret"},"cid":3}`)
	fmt.Println(client.next())
	fmt.Println(client.next())
	// Output:
	// {"rid":2,"error":{"message":"Invalid user credentials","name":"LoginError"}}
	// {"event":"#setAuthToken","data":{"token":"<token>"}}
	// {"rid":3}
}

// A login over HTTP answers with a token, which the page keeps in
// localStorage; the next handshake presents it.
func ExampleServer_Auth() {
	srv := exampleServer(socketcluster.Config{})
	login := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Check the credentials in the body of r, then:
		token, err := srv.Auth().Sign(r.Context(), map[string]any{"username": "alice"})
		if err != nil {
			http.Error(w, "The login failed", http.StatusInternalServerError)
			return
		}
		json.NewEncoder(w).Encode(map[string]string{"token": token.Signed()})
	})

	response := httptest.NewRecorder()
	login.ServeHTTP(response, httptest.NewRequest("POST", "/login", nil))
	var body struct{ Token string }
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
		panic(err)
	}
	client := loginExample(srv, body.Token)
	defer client.close()
	for s := range srv.Clients() {
		fmt.Println(s.AuthState())
	}
	// Output: authenticated
}

// The clients of a user, on whichever devices.
func ExampleServer_ClientsWith() {
	srv := exampleServer(socketcluster.Config{})
	for _, name := range []string{"alice", "alice", "bob"} {
		token, err := srv.Auth().Sign(context.Background(), map[string]any{"username": name})
		if err != nil {
			panic(err)
		}
		defer loginExample(srv, token.Signed()).close()
	}
	n := 0
	for s := range srv.ClientsWith("username", "alice") {
		if err := s.Transmit(context.Background(), "news", "hello"); err != nil {
			panic(err)
		}
		n++
	}
	fmt.Println(n, "clients of alice")
	// Output: 2 clients of alice
}

// With a cookie, no script of the page ever sees the token. The server takes it
// from pages of its own origin, and from those that Config.Origins names. Other
// routes of the application go by the same cookie, and pages of strangers can
// log nobody in.
func ExampleServer_Authenticator() {
	const cookie = "__Host-token"
	type claims struct {
		Username string `json:"username"`
	}
	srv := exampleServer(socketcluster.Config{TokenSources: []httpauth.Source{httpauth.Cookie(cookie)}})
	mux := http.NewServeMux()
	mux.Handle("GET "+socketcluster.DefaultPath, srv)
	guard := srv.Authenticator()
	mux.Handle("POST /login", guard.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Check the credentials in the body of r, then:
		token, err := srv.Auth().Sign(r.Context(), claims{"alice"})
		if err == nil {
			err = httpauth.SetCookie(w, cookie, token)
		}
		if err != nil {
			http.Error(w, "The login failed", http.StatusInternalServerError)
		}
	})))
	mux.Handle("GET /me", guard.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		me, _ := httpauth.Claims[claims](r.Context())
		fmt.Println("GET /me:", me.Username)
	})))

	login := httptest.NewRecorder()
	mux.ServeHTTP(login, httptest.NewRequest("POST", "/login", nil))
	page := httptest.NewRequest("GET", "/me", nil) // a browser does this by itself
	page.AddCookie(login.Result().Cookies()[0])
	mux.ServeHTTP(httptest.NewRecorder(), page)

	site := httptest.NewServer(mux)
	defer site.Close()
	defer srv.Close()
	client := dialExampleWith(site.URL, http.Header{"Cookie": page.Header["Cookie"]})
	defer client.close()
	client.send(`{"event":"#handshake","data":{"authToken":null},"cid":1}`)
	fmt.Println(client.next())
	for s := range srv.Clients() {
		me, _ := socketcluster.Claims[claims](s)
		fmt.Println("socket:", me.Username)
	}
	// Output:
	// GET /me: alice
	// {"rid":1,"data":{"id":"<id>","pingTimeout":30000,"isAuthenticated":true}}
	// socket: alice
}

// Claims reads the token of a socket into a type of the application's. Here a
// client may publish on the channels that its token lists.
func ExampleClaims() {
	type claims struct {
		Username string   `json:"username"`
		Channels []string `json:"channels"`
	}
	srv := exampleServer(socketcluster.Config{})
	socketcluster.Use(srv, func(_ context.Context, a *socketcluster.PublishIn) error {
		user, ok := socketcluster.Claims[claims](a.Socket)
		if !ok || !slices.Contains(user.Channels, a.Channel) {
			return &wire.Error{Name: "PublishError", Message: "You are not authorized to publish to the " + a.Channel + " channel"}
		}
		return nil
	})

	token, err := srv.Auth().Sign(context.Background(), claims{"alice", []string{"news"}})
	if err != nil {
		panic(err)
	}
	client := loginExample(srv, token.Signed())
	defer client.close()
	client.send(`{"event":"#publish","data":{"channel":"news","data":1},"cid":2}`)
	fmt.Println(client.next())
	client.send(`{"event":"#publish","data":{"channel":"salaries","data":1},"cid":3}`)
	fmt.Println(client.next())
	// Output:
	// {"rid":2}
	// {"rid":3,"error":{"message":"You are not authorized to publish to the salaries channel","name":"PublishError"}}
}

// TokenRenewal replaces the tokens of connected clients before they expire.
func ExampleTokenRenewal() {
	srv := exampleServer(socketcluster.Config{
		// In an application, for example, 10 and 30 minutes.
		TokenRenewal: socketcluster.TokenRenewal{Every: 20 * time.Millisecond, ExpiresIn: 30 * time.Minute},
	})
	token, err := srv.Auth().Sign(context.Background(), map[string]any{"username": "alice"}, auth.ExpiresIn("1h"))
	if err != nil {
		panic(err)
	}
	client := loginExample(srv, token.Signed())
	defer client.close()
	fmt.Println(client.next())
	// Output: {"event":"#setAuthToken","data":{"token":"<token>"}}
}

// Serve ends with its context. In an application that is one of
// [signal.NotifyContext], or Run takes the place of both.
func ExampleServer_Serve() {
	srv, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: "at least 32 bytes that nobody else knows"}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	socketcluster.On(srv, func(e socketcluster.ConnectEvent) { stop() })

	ended := make(chan error)
	go func() {
		web := &http.Server{Handler: srv, ReadHeaderTimeout: 5 * time.Second}
		ended <- srv.Serve(ctx, web, listener)
	}()
	client := dialExample("http://" + listener.Addr().String())
	defer client.close()
	client.send(`{"event":"#handshake","cid":1}`)
	client.next() // its answer, and what comes is the close frame, with 1001
	client.close()
	fmt.Println(<-ended)
	// Output: <nil>
}

// An application has the close codes from 4500 on to itself: stock clients do
// not connect again after them.
func ExampleSocket_Disconnect() {
	srv := exampleServer(socketcluster.Config{})
	srv.Handle("misbehave", socketcluster.Proc(func(ctx context.Context, _ socketcluster.None) error {
		return socketcluster.FromContext(ctx).Disconnect(4501, "Banned")
	}))

	client := connectExample(srv)
	defer client.close()
	client.send(`{"event":"misbehave","cid":2}`)
	fmt.Println(client.next())
	// Output: closed with 4501: Banned
}

// Handshake middleware refuses a client with a close code of its choice.
func ExampleServer_UseHandshake() {
	srv := exampleServer(socketcluster.Config{})
	socketcluster.Use(srv, func(_ context.Context, a *socketcluster.Handshake) error {
		if a.AuthToken == nil {
			e := socketcluster.Errorf("LoginRequired", "Log in first")
			return e.With("statusCode", 4500)
		}
		return nil
	})

	client := connectExample(srv)
	defer client.close()
	fmt.Println(client.next())
	// Output: closed with 4500
}

// KickOut ends a subscription from the server's side.
func ExampleSocket_KickOut() {
	srv := exampleServer(socketcluster.Config{})
	client := connectExample(srv)
	defer client.close()
	client.send(`{"event":"#subscribe","data":{"channel":"room"},"cid":2}`)
	fmt.Println(client.next())

	for s := range srv.Clients() {
		if err := s.KickOut(context.Background(), "room", "The room is closed"); err != nil {
			panic(err)
		}
		fmt.Println("subscribed:", s.IsSubscribed("room"))
	}
	fmt.Println(client.next())
	// Output:
	// {"rid":2}
	// subscribed: false
	// {"event":"#kickOut","data":{"channel":"room","message":"The room is closed"}}
}

// Invoke calls a procedure of the client.
func ExampleInvokeAs() {
	srv := exampleServer(socketcluster.Config{})
	client := connectExample(srv)
	defer client.close()
	go func() {
		client.next() // {"event":"timezone","cid":1}
		client.send(`{"rid":1,"data":"Europe/Berlin"}`)
	}()
	for s := range srv.Clients() {
		zone, err := socketcluster.InvokeAs[string](context.Background(), s, "timezone", nil)
		fmt.Println(zone, err)
	}
	// Output: Europe/Berlin <nil>
}

// A change of rights reaches every device of a user with the new token, and
// ends the subscriptions that it no longer allows. Without Revocations, the old
// token would restore a right that was taken away.
func ExampleUpdateClaims() {
	srv, err := socketcluster.New(socketcluster.Config{Auth: auth.Options{Key: strings.Repeat("k", 32)}, Revocations: &revoke.Memory{}})
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	type rights struct {
		Rooms []string `json:"rooms"`
	}
	sockets, err := socketcluster.UpdateClaims(context.Background(), srv, "username", "alice", func(c *rights) error {
		c.Rooms = append(c.Rooms, "staff")
		return nil
	})
	fmt.Println(sockets, err)
	// Output: 0 <nil>
}
