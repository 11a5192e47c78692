package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
)

// tls returns what encrypts the connections between nodes, and lets both ends prove
// who they are; nil without a certificate.
func (c *clusterSettings) tls(log *slog.Logger) (*tls.Config, error) {
	files := []struct{ setting, path string }{{clusterCertFileSetting, c.certFile}, {clusterKeyFileSetting, c.keyFile}, {clusterCAFileSetting, c.caFile}}
	texts, missing := make([][]byte, len(files)), ""
	for i, f := range files {
		if f.path == "" {
			missing = f.setting
			continue
		}
		var err error
		if texts[i], err = readLimited(f.path, maxKeyFile); err != nil {
			return nil, fmt.Errorf("the setting %s: %w", f.setting, err)
		}
	}
	switch {
	case c.certFile == "" && c.keyFile == "" && c.caFile == "":
		return nil, nil
	case missing != "":
		return nil, fmt.Errorf("%s, %s and %s need each other: %s is not set", clusterCertFileSetting, clusterKeyFileSetting, clusterCAFileSetting, missing)
	}
	warnIfOpen(c.keyFile, log)
	pair, err := tls.X509KeyPair(texts[0], texts[1])
	if err != nil {
		return nil, fmt.Errorf("the settings %s and %s: %w", clusterCertFileSetting, clusterKeyFileSetting, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(texts[2]) {
		return nil, fmt.Errorf("the setting %s: %s has no certificate", clusterCAFileSetting, c.caFile)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair},
		RootCAs: pool, ClientCAs: pool,
	}, nil
}
