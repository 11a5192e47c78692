package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/socketcluster-go/socketcluster/cluster"
)

// clusterSettings are the settings of a node of a cluster.
type clusterSettings struct {
	listen, advertise string
	routes            string // separated by commas
	secretFile        string
	node, name        string
	nats              string
}

// The settings that errors name.
const (
	clusterListenSetting     = "cluster-listen"
	clusterRoutesSetting     = "cluster-routes"
	clusterSecretFileSetting = "cluster-secret-file"
	clusterNATSSetting       = "cluster-nats"
)

func (c *clusterSettings) define() flagGroup {
	f := newFlags("Cluster")
	f.StringVar(&c.listen, clusterListenSetting, "", "`address` at which other nodes connect, such as 0.0.0.0:6222; without it and --cluster-nats, there is one node")
	f.StringVar(&c.routes, clusterRoutesSetting, "", "`addresses` of other nodes, such as b.internal:6222,c.internal:6222; a name may have several, and the own one may be among them")
	f.StringVar(&c.advertise, "cluster-advertise", "", "`address` of --cluster-listen as other nodes see it; nodes tell each other of it")
	f.StringVar(&c.secretFile, clusterSecretFileSetting, "", "`file` with the password of the nodes, at least 16 bytes, the same for all")
	f.StringVar(&c.node, "cluster-node", "", "`name` of the node, another one for each; the name of the host if empty")
	f.StringVar(&c.name, "cluster-name", "", "`name` of the cluster, the same for all nodes; socketcluster if empty")
	f.StringVar(&c.nats, clusterNATSSetting, "", "`URL` of an outside NATS in place of one in the process, such as nats://nats:4222")
	return f
}

// isSet reports whether the process is a node of a cluster.
func (c *clusterSettings) isSet() bool { return c.listen != "" || c.nats != "" }

// start starts the node, or returns nil if there is one node only.
func (c *clusterSettings) start(ctx context.Context, log *slog.Logger) (*cluster.Node, error) {
	if !c.isSet() {
		if c.routes != "" {
			return nil, fmt.Errorf("the setting %s needs %s", clusterRoutesSetting, clusterListenSetting)
		}
		return nil, nil
	}
	o := cluster.Options{Name: c.node, Cluster: c.name, Listen: c.listen, Advertise: c.advertise, Routes: strings.FieldsFunc(c.routes, func(r rune) bool { return r == ',' || r == ' ' }), URL: c.nats, Logger: log}
	if c.secretFile != "" {
		text, err := readLimited(c.secretFile, maxKeyFile)
		if err != nil {
			return nil, fmt.Errorf("the setting %s: %w", clusterSecretFileSetting, err)
		}
		warnIfOpen(c.secretFile, log)
		o.Secret = string(bytes.TrimSpace(text))
	} else if c.listen != "" {
		if o.Secret = os.Getenv(variable("cluster-secret")); o.Secret == "" {
			return nil, fmt.Errorf("the nodes of a cluster need a password: set %s, or $%s to the password itself", clusterSecretFileSetting, variable("cluster-secret"))
		}
	}
	return cluster.Start(ctx, o)
}

// errClusterKey is the error of nodes that would each make a key of their own.
var errClusterKey = errors.New("the nodes of a cluster need one key for tokens: " + errNoKey.Error())
