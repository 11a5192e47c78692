//go:build linux

package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// authKey signs the tokens of the benchmark. It is no secret: the servers
// listen on the loopback interface for seconds. Its 32 bytes are the length
// that RFC 7518 demands of an HS256 key.
const authKey = "benchmark-key-of-32-bytes-length"

type claims struct {
	Username string   `json:"username"`
	Channels []string `json:"channels"`
	IssuedAt int64    `json:"iat"`
	Expiry   int64    `json:"exp"`
}

var tokenHeader = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`))

// signToken makes a token with the claims that the login procedure sets.
func signToken(username string) string { return signTokenAt(username, time.Now()) }

const tokenLife = 24 * time.Hour

// expiredToken is a token that was valid.
func expiredToken(username string) string {
	return signTokenAt(username, time.Now().Add(-tokenLife-time.Hour))
}

// forgedToken is a token that was signed without the key.
func forgedToken(username string) string {
	token := signToken(username)
	signed := token[:strings.LastIndexByte(token, '.')]
	return signed + "." + signature(signed+"x")
}

func signTokenAt(username string, now time.Time) string {
	payload, err := json.Marshal(claims{
		Username: username,
		Channels: []string{"news", "room/" + username, "user/" + username},
		IssuedAt: now.Unix(),
		Expiry:   now.Add(tokenLife).Unix(),
	})
	if err != nil {
		panic(err) // strings and integers always encode
	}
	signed := tokenHeader + "." + base64.RawURLEncoding.EncodeToString(payload)
	return signed + "." + signature(signed)
}

func signature(signed string) string {
	mac := hmac.New(sha256.New, []byte(authKey))
	mac.Write([]byte(signed))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// verifyToken checks the signature and returns the claims.
func verifyToken(token string) (claims, error) {
	var c claims
	dot := strings.LastIndexByte(token, '.')
	if dot < 0 || !hmac.Equal([]byte(token[dot+1:]), []byte(signature(token[:dot]))) {
		return c, fmt.Errorf("the signature of token %q is wrong", token)
	}
	_, payload, _ := strings.Cut(token[:dot], ".")
	b, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(b, &c)
}
