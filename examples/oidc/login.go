package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"log"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth"
	"github.com/socketcluster-go/socketcluster/auth/httpauth"
	"github.com/socketcluster-go/socketcluster/auth/oidc"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
)

const (
	// Browsers accept cookies whose names begin with __Host- only from this
	// host.
	cookieName  = "__Host-token"
	pendingName = "__Host-login" // between the two halves of a login

	loginLife   = time.Hour        // then the browser goes to the provider again
	pendingLife = 10 * time.Minute // to fill in the provider's form
	fetchTime   = 10 * time.Second
	clockSkew   = 30 * time.Second // between the provider and this machine
)

// claims are the claims of our own token.
//
// The cookie does not contain the ID token. That only states that somebody has
// logged in once, and is meant for us alone. We decide how long the login lasts
// here, what the token in each request contains, and whether it ends early. And
// if the provider is down, logged-in users do not notice.
type claims struct {
	Subject string `json:"sub"` // unique, as there is only one provider

	// A logout finds the sockets of this login by the session. The sid of an ID
	// token would not do: the next login would have the same one, which is
	// revoked by then.
	Session string `json:"sid"`
}

type site struct {
	srv      *socketcluster.Server
	provider *oidc.Provider
	oauth    oauth2.Config
}

// login sends the browser to the provider. The values that the callback
// compares stay in the browser, so that nobody can finish a login that another
// browser has begun.
func (s *site) login(w http.ResponseWriter, r *http.Request) {
	state, nonce, verifier := rand.Text(), rand.Text(), oauth2.GenerateVerifier()
	pending := url.Values{"state": {state}, "nonce": {nonce}, "verifier": {verifier}}
	setPending(w, pending.Encode(), pendingLife)
	http.Redirect(w, r, s.oauth.AuthCodeURL(state, oauth2.SetAuthURLParam("nonce", nonce), oauth2.S256ChallengeOption(verifier)), http.StatusFound)
}

// callback is the route to which the provider sends the browser back.
func (s *site) callback(w http.ResponseWriter, r *http.Request) {
	loginTime := time.Now()
	setPending(w, "", -time.Second) // it is valid for one attempt
	idToken, err := s.idToken(r)
	if err != nil {
		log.Printf("login: %v", err)
		http.Error(w, "The login failed. Please try again.", http.StatusUnauthorized)
		return
	}
	token, err := s.sign(r.Context(), idToken, loginTime)
	if err == nil {
		err = httpauth.SetCookie(w, cookieName, token)
	}
	if err != nil {
		log.Print(err)
		http.Error(w, "The login failed", http.StatusInternalServerError)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// idToken exchanges the code of a callback for an ID token, and checks that
// both belong to a login that this browser has begun.
func (s *site) idToken(r *http.Request) (*auth.Token, error) {
	cookie, err := r.Cookie(pendingName)
	if err != nil {
		return nil, errors.New("no login has begun in this browser, or too long ago")
	}
	pending, err := url.ParseQuery(cookie.Value)
	if err != nil {
		return nil, errors.New("the cookie of the login is broken")
	}
	query, state := r.URL.Query(), pending.Get("state")
	if state == "" || subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(state)) == 0 {
		return nil, errors.New("the state does not match the login that has begun")
	}
	if reason := query.Get("error"); reason != "" {
		return nil, errors.New("the provider says " + url.QueryEscape(reason))
	}
	ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), oauth2.HTTPClient, s.provider.Client()), fetchTime)
	defer cancel()
	answer, err := s.oauth.Exchange(ctx, query.Get("code"), oauth2.VerifierOption(pending.Get("verifier")))
	if err != nil {
		return nil, err
	}
	signed, ok := answer.Extra("id_token").(string)
	if !ok {
		return nil, errors.New("the provider has answered without an ID token")
	}
	return s.provider.Verify(ctx, signed, pending.Get("nonce"), auth.ClockTolerance(clockSkew))
}

// sign makes our own token from an ID token.
func (s *site) sign(ctx context.Context, idToken *auth.Token, loginTime time.Time) (*auth.Token, error) {
	var user claims
	if err := idToken.Claims(&user); err != nil {
		return nil, err
	}
	user.Session = rand.Text()
	return s.srv.Auth().Sign(ctx, user, auth.AuthTime(loginTime))
}

// logout ends the login in all tabs of the browser, here. At the provider the
// user stays logged in, so the next login may not ask for a password.
func (s *site) logout(w http.ResponseWriter, r *http.Request) {
	user, _ := httpauth.Claims[claims](r.Context())
	// The exp of this cookie would be too early if cookies were renewed: the
	// session may then have another one.
	until := time.Now().Add(loginLife)
	err := s.srv.Revoke(r.Context(), revoke.Revocation{Session: user.Session, Until: until})
	if err == nil {
		err = httpauth.ClearCookie(w, cookieName)
	}
	if err != nil {
		log.Print(err)
		http.Error(w, "The logout failed", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func setPending(w http.ResponseWriter, value string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: pendingName, Value: value, MaxAge: int(life.Seconds()),
		Path: "/", HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode,
	})
}
