package jsclient

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
)

// The server's side of the guide on authentication. docs/PORTING.md shows what
// is marked as a sample; the tests run it.

// sample: claims
type claims struct {
	Username string   `json:"username"`
	Channels []string `json:"channels"`
}

type credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// end

// account is a row of the table of users.
type account struct {
	name         string
	passwordHash [sha256.Size]byte
	channels     []string
}

// users stands for a database. A real one has slow, salted hashes.
var users = map[string]account{
	"alice123": {"alice123", sha256.Sum256([]byte("thisisapassword654")), []string{"news", "alice's"}},
	"bob":      {"bob", sha256.Sum256([]byte("another secret")), []string{"news"}},
}

var (
	alice = credentials{"alice123", "thisisapassword654"}
	bob   = credentials{"bob", "another secret"}
)

// findUser takes as long for a user who does not exist. Like the collation of many a
// database, it finds a name in any case.
func findUser(username, password string) (user account, ok bool) {
	user, known := users[strings.ToLower(username)]
	hash := sha256.Sum256([]byte(password))
	same := subtle.ConstantTimeCompare(hash[:], user.passwordHash[:]) == 1
	return user, known && same
}

// sample: auth key
func withKey(authKey string) socketcluster.Config {
	return socketcluster.Config{Auth: auth.Options{Key: authKey}} // HS256
}

func withKeyPair(privatePEM, publicPEM []byte) socketcluster.Config {
	return socketcluster.Config{Auth: auth.Options{PrivateKey: privatePEM, PublicKey: publicPEM}} // RS256, ES256, …
}

func withTwoKeys(signatureKey, verificationKey string) (socketcluster.Config, error) {
	engine, err := auth.NewJWT(auth.Options{
		SignatureKey:    auth.HMACKey([]byte(signatureKey)),
		VerificationKey: auth.HMACKey([]byte(verificationKey)),
	})
	return socketcluster.Config{AuthEngine: engine}, err
}

// end

// sample: login
var errLogin = socketcluster.Errorf("LoginError", "Invalid user credentials")

func login(ctx context.Context, in credentials) error {
	loginTime := time.Now() // before the password is looked at
	user, ok := findUser(in.Username, in.Password)
	if !ok {
		return errLogin
	}
	return socketcluster.FromContext(ctx).SetAuthToken(ctx, claims{user.name, user.channels}, auth.AuthTime(loginTime))
}

// end

// sample: logout
func logout(ctx context.Context, _ socketcluster.None) error {
	socketcluster.FromContext(ctx).Deauthenticate(ctx)
	return nil
}

// end

// sample: login loop
func loginLoop(s *socketcluster.Socket) {
	requests := s.Procedure("login").All()
	go func() {
		for request := range requests {
			var in credentials
			if err := json.Unmarshal(request.Data, &in); err != nil {
				request.Fail(errLogin)
				continue
			}
			loginTime := time.Now()
			user, ok := findUser(in.Username, in.Password)
			if !ok {
				request.Fail(errLogin)
				continue
			}
			request.Reply(nil)
			s.SetAuthToken(s.Context(), claims{user.name, user.channels}, auth.AuthTime(loginTime))
		}
	}()
}

// end

// sample: http login
func httpLogin(srv *socketcluster.Server) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		// Forms of other sites cannot send this type.
		if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
			http.Error(w, "The Content-Type must be application/json", http.StatusUnsupportedMediaType)
			return
		}
		var in credentials
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096)).Decode(&in); err != nil {
			http.Error(w, "The body must be JSON", http.StatusBadRequest)
			return
		}
		loginTime := time.Now()
		user, ok := findUser(in.Username, in.Password)
		if !ok {
			http.Error(w, "Invalid user credentials", http.StatusUnauthorized)
			return
		}
		token, err := srv.Auth().Sign(r.Context(), claims{user.name, user.channels}, auth.AuthTime(loginTime))
		if err != nil {
			http.Error(w, "The login failed", http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, token.Signed())
	}
}

// end

// sample: sign with golang-jwt
func signElsewhere(authKey, username string, channels []string) (string, error) {
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"username": username,
		"channels": channels,
		"iat":      now.Unix(),
		"exp":      now.Add(time.Hour).Unix(),
	})
	return token.SignedString([]byte(authKey))
}

// end

// sample: publish rule
func publishRule(_ context.Context, a *socketcluster.PublishIn) error {
	token, ok := socketcluster.Claims[claims](a.Socket)
	if !ok || !slices.Contains(token.Channels, a.Channel) {
		return socketcluster.Errorf("PublishError", "You may not publish to %s", a.Channel)
	}
	return nil
}

// end

// sample: simple renewal
func withRenewal(authKey string, every, life time.Duration) socketcluster.Config {
	return socketcluster.Config{
		Auth:         auth.Options{Key: authKey},
		TokenRenewal: socketcluster.TokenRenewal{Every: every, ExpiresIn: life},
	}
}

// end

// sample: renewal
func renewTokens(srv *socketcluster.Server, every, life time.Duration) {
	socketcluster.On(srv, func(e socketcluster.AuthStateChangeEvent) {
		if e.NewAuthState != socketcluster.Authenticated {
			return
		}
		ctx, stop := context.WithCancel(e.Socket.Context()) // ends on disconnect
		var off func()
		off = socketcluster.On(e.Socket, func(socketcluster.DeauthenticateEvent) {
			stop()
			off()
		})
		go renewLoop(ctx, e.Socket, every, life)
	})
}

func renewLoop(ctx context.Context, s *socketcluster.Socket, every, life time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		old := s.AuthToken()
		var token map[string]json.RawMessage
		if old == nil || old.Claims(&token) != nil {
			return
		}
		for _, name := range []string{"iat", "exp", "nbf", "jti"} {
			delete(token, name)
		}
		// A logout or another login in between stays as it is.
		err := s.SetAuthTokenIf(ctx, old, token, auth.ExpiresIn(life), auth.JWTID(rand.Text()))
		if err != nil && !errors.Is(err, socketcluster.ErrTokenChanged) {
			return
		}
	}
}

// end

// sample: events
func watch(srv *socketcluster.Server, log func(format string, args ...any)) {
	name := func(t *auth.Token) any {
		if t == nil {
			return nil
		}
		username, _ := t.Claim("username")
		return username
	}
	socketcluster.On(srv, func(e socketcluster.ConnectEvent) { log("connected, known: %v", e.IsAuthenticated) })
	socketcluster.On(srv, func(e socketcluster.AuthenticateEvent) { log("%v is in", name(e.AuthToken)) })
	socketcluster.On(srv, func(e socketcluster.DeauthenticateEvent) { log("%v is out", name(e.OldAuthToken)) })
	socketcluster.On(srv, func(e socketcluster.BadAuthTokenEvent) { log("refused: %v", e.AuthError) })
	socketcluster.On(srv, func(e socketcluster.DisconnectEvent) { log("gone: %d", e.Code) })
}

// end

// sample: middleware
func houseRules(_ context.Context, action socketcluster.Action) error {
	switch a := action.(type) {
	case *socketcluster.Authenticate: // inbound
		if issuer, _ := a.AuthToken.Claim("iss"); issuer == "elsewhere" {
			return socketcluster.Errorf("IssuerError", "Tokens from elsewhere are not taken")
		}
	case *socketcluster.Subscribe: // inbound
		if a.Channel == "staff" {
			return socketcluster.ErrBlocked // without a reason
		}
	case *socketcluster.PublishIn: // inbound
		var text string
		if err := json.Unmarshal(a.Data, &text); err != nil {
			return socketcluster.Errorf("PublishError", "Only text can be published")
		}
		a.Data, _ = json.Marshal(strings.ToUpper(text)) // which text never fails
	}
	return nil // whatever is not handled is allowed
}

// end

// sample: expiry
func loginForAMoment(ctx context.Context, s *socketcluster.Socket, c claims) error {
	return s.SetAuthToken(ctx, c, auth.ExpiresIn(time.Second))
}

// end

// serveGuide registers the guide's login, logout and publish rule.
func serveGuide(srv *socketcluster.Server) {
	// sample: registration
	srv.Handle("login", socketcluster.Proc(login))
	srv.Handle("logout", socketcluster.Proc(logout))
	socketcluster.Use(srv, publishRule)
	// end
}
