package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/client"
	"github.com/socketcluster-go/socketcluster/wire"
	"github.com/socketcluster-go/socketcluster/wire/minbin"
)

// connection has the flags of commands that connect to a server.
type connection struct {
	headers   []string
	insecure  bool
	protocol1 bool
	minBin    bool
	compress  bool
	timeout   time.Duration
}

func (n *connection) define() flagGroup {
	f := newFlags("Connection")
	f.StringArrayVar(&n.headers, "header", nil, `a header of the upgrade request, such as "X-Team: red", or @file with one a line; may be repeated`)
	f.BoolVar(&n.insecure, "insecure", false, "accepts any certificate of the server")
	f.BoolVar(&n.protocol1, "protocol-1", false, "speaks version 1 of the protocol, that of clients before v15")
	f.BoolVar(&n.minBin, "min-bin", false, "encodes messages like sc-codec-min-bin")
	f.BoolVar(&n.compress, "compress", false, "offers permessage-deflate")
	f.DurationVar(&n.timeout, "timeout", client.DefaultAckTimeout, "time within which the server must answer")
	return f
}

// options returns the options of a client.
func (n *connection) options() (client.Options, error) {
	o := client.Options{
		Timeouts:  client.Timeouts{Connect: n.timeout, Ack: n.timeout},
		Reconnect: client.Reconnect{InitialDelay: time.Second, Randomness: time.Second},
	}
	if n.timeout <= 0 {
		return o, errors.New("--timeout must be more than 0")
	}
	headers, err := withFiles(n.headers)
	if err != nil {
		return o, err
	}
	for _, header := range headers {
		name, value, ok := strings.Cut(header, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return o, fmt.Errorf(`--header %q is not of the form "Name: value"`, name)
		}
		if o.Header == nil {
			o.Header = make(http.Header)
		}
		o.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	if n.insecure {
		o.TLS = &tls.Config{InsecureSkipVerify: true}
	}
	if n.protocol1 {
		o.ProtocolVersion = wire.Version1
	}
	if n.minBin {
		o.Codec = minbin.Codec{}
	}
	if n.compress {
		o.Compression = socketcluster.Compression{Level: 1}
	}
	return o, nil
}

// withFiles replaces @ and the name of a file by the lines of the file.
func withFiles(headers []string) (all []string, err error) {
	for _, header := range headers {
		path, ok := strings.CutPrefix(header, "@")
		if !ok {
			all = append(all, header)
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("--header: %w", err)
		}
		for line := range strings.Lines(string(content)) {
			if line = strings.TrimSpace(line); line != "" {
				all = append(all, line)
			}
		}
	}
	return all, nil
}
