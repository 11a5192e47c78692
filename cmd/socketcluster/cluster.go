package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/cluster"
)

// clusterSettings are the settings of a node of a cluster.
type clusterSettings struct {
	listen, advertise         string
	routes                    string // separated by commas
	secretFile                string
	certFile, keyFile, caFile string
	node, name                string
	nats, prefix              string
	store                     string
	syncAlways                bool
	size                      int   // 0: the number of routes
	historyBytes              int64 // 0: the default
	userClaim                 string
	presence                  string // patterns of channels, separated by commas
	revocations, failClosed   bool
	cutOff                    time.Duration // 0: the default
	witness                   bool
}

// The settings that errors name.
const (
	clusterListenSetting      = "cluster-listen"
	clusterRoutesSetting      = "cluster-routes"
	clusterAdvertiseSetting   = "cluster-advertise"
	clusterSecretFileSetting  = "cluster-secret-file"
	clusterCertFileSetting    = "cluster-cert-file"
	clusterKeyFileSetting     = "cluster-key-file"
	clusterCAFileSetting      = "cluster-ca-file"
	clusterNodeSetting        = "cluster-node"
	clusterNameSetting        = "cluster-name"
	clusterNATSSetting        = "cluster-nats"
	clusterPrefixSetting      = "cluster-prefix"
	clusterStoreSetting       = "cluster-store"
	clusterSyncAlwaysSetting  = "cluster-sync-always"
	clusterSizeSetting        = "cluster-size"
	historyBytesSetting       = "cluster-history-bytes"
	clusterUserClaimSetting   = "cluster-user-claim"
	clusterRevocationsSetting = "cluster-revocations"
	clusterCutOffSetting      = "cluster-cut-off"
	clusterFailClosedSetting  = "cluster-fail-closed"
	clusterWitnessSetting     = "cluster-witness"
	presenceSetting           = "presence-channels"
)

func (c *clusterSettings) define() flagGroup {
	f := newFlags("Cluster")
	f.StringVar(&c.listen, clusterListenSetting, "", "`address` at which other nodes connect, such as 0.0.0.0:6222; without it and --cluster-nats, there is one node")
	c.defineRoutes(f)
	f.StringVar(&c.advertise, clusterAdvertiseSetting, "", "`address` of --cluster-listen as other nodes see it; nodes tell each other of it")
	f.StringVar(&c.node, clusterNodeSetting, "", "`name` of the node, another one for each; the name of the host if empty")
	f.StringVar(&c.nats, clusterNATSSetting, "", "`URL` of an outside NATS in place of one in the process, such as nats://nats:4222")
	f.StringVar(&c.prefix, clusterPrefixSetting, "", "`name` with which all subjects and streams at --cluster-nats begin, the same for all nodes, another one for each installation; sc if empty")
	f.StringVar(&c.store, clusterStoreSetting, "", "`folder` in which the node stores histories and revocations, another one for each; which channels have a history is said by [[history]] in the file of --config, the same for all nodes")
	f.BoolVar(&c.syncAlways, clusterSyncAlwaysSetting, false, "write what is stored through to the disk before it is acknowledged, so that nothing is lost if the power fails; each acknowledgement is slower by a write")
	f.IntVar(&c.size, clusterSizeSetting, 0, "number of nodes with a store, for which nodes with empty stores wait; 0 for the number of --cluster-routes")
	f.Int64Var(&c.historyBytes, historyBytesSetting, 0, "what histories may take of the disk, in bytes, for each number of copies; then the oldest go first")
	f.Lookup(historyBytesSetting).DefValue = strconv.Itoa(cluster.DefaultHistoryBytes)
	f.StringVar(&c.userClaim, clusterUserClaimSetting, "", "`claim` of a token that names its user, for presence, the same for all nodes; username if empty")
	f.StringVar(&c.presence, presenceSetting, "", "`patterns` of the channels for which all nodes know who is there, such as chat,room/*; the rules say who may see it")
	f.BoolVar(&c.revocations, clusterRevocationsSetting, false, "let users log out everywhere, on all nodes; the server waits for the revocations of the cluster before it takes clients")
	f.DurationVar(&c.cutOff, clusterCutOffSetting, 0, "time after which a node that may lack revocations of others accepts no token; a negative one for never")
	f.Lookup(clusterCutOffSetting).DefValue = cluster.DefaultCutOff.String()
	f.BoolVar(&c.failClosed, clusterFailClosedSetting, false, "while the node is cut off, also refuse all new clients, and subscriptions to channels that not everybody may subscribe to")
	f.BoolVar(&c.witness, clusterWitnessSetting, false, "only store and vote, without sockets and site: a third process for two nodes")
	return f
}

// defineRoutes defines what it takes to connect to other nodes.
func (c *clusterSettings) defineRoutes(f flagGroup) {
	f.StringVar(&c.routes, clusterRoutesSetting, "", "`addresses` of all nodes, this one included, such as a.internal:6222,b.internal:6222,c.internal:6222; with --cluster-store, the first start waits for as many nodes as there are entries; a name may have several addresses")
	f.StringVar(&c.secretFile, clusterSecretFileSetting, "", "`file` with the password of the nodes, at least 16 bytes, the same for all")
	f.StringVar(&c.certFile, clusterCertFileSetting, "", "PEM `file` with the certificate of the node for its connections with others, which are then encrypted; it is used in both directions")
	f.StringVar(&c.keyFile, clusterKeyFileSetting, "", "PEM `file` with the key of --cluster-cert-file")
	f.StringVar(&c.caFile, clusterCAFileSetting, "", "PEM `file` with the certificates that must have signed those of other nodes")
	f.StringVar(&c.name, clusterNameSetting, "", "`name` of the cluster, the same for all nodes; socketcluster if empty")
}

// clusterFields are the settings for fields of the options of package cluster, by
// which its errors name them.
var clusterFields = map[string]string{
	"Name": clusterNodeSetting, "Cluster": clusterNameSetting, "Listen": clusterListenSetting, "Advertise": clusterAdvertiseSetting,
	"Routes": clusterRoutesSetting, "Secret": clusterSecretFileSetting, "TLS": clusterCertFileSetting, "StoreDir": clusterStoreSetting,
	"History": historyKey, "URL": clusterNATSSetting, "Prefix": clusterPrefixSetting, "CutOff": clusterCutOffSetting,
	"SyncAlways": clusterSyncAlwaysSetting, "Size": clusterSizeSetting, "HistoryBytes": historyBytesSetting, "UserClaim": clusterUserClaimSetting,
	"Witness": clusterWitnessSetting,
}

var clusterField = regexp.MustCompile(`\b(?:Revocation)?Options\.([A-Z]\w*)`)

// clusterError rewrites an error of package cluster so that it names settings, and the
// place of the first one.
func (o *options) clusterError(err error) error {
	place := ""
	text := clusterField.ReplaceAllStringFunc(err.Error(), func(field string) string {
		name := clusterSetting(field)
		if place == "" {
			place = o.places[name]
		}
		return "the setting " + name
	})
	if text == err.Error() {
		return err
	}
	text = strings.TrimPrefix(text, "cluster: ")
	if place != "" {
		text = place + ": " + text
	}
	return errors.New(text)
}

// isCluster reports whether there may be other nodes.
func (c *clusterSettings) isCluster() bool { return c.listen != "" || c.nats != "" }

// maxChannelName is the length in bytes up to which a node carries every name of a channel.
const maxChannelName = 1024

// startNode starts the node of the process. It returns nil if nothing needs one.
func (o *options) startNode(ctx context.Context, log *slog.Logger) (*cluster.Node, error) {
	c := &o.cluster
	switch {
	case c.routes != "" && c.listen == "":
		return nil, fmt.Errorf("the setting %s needs %s", clusterRoutesSetting, clusterListenSetting)
	case c.advertise != "" && c.listen == "":
		return nil, fmt.Errorf("the setting %s needs %s", clusterAdvertiseSetting, clusterListenSetting)
	case c.certFile != "" && c.listen == "":
		return nil, fmt.Errorf("the setting %s needs %s", clusterCertFileSetting, clusterListenSetting)
	case c.prefix != "" && c.nats == "":
		return nil, fmt.Errorf("the setting %s needs %s", clusterPrefixSetting, clusterNATSSetting)
	case c.failClosed && !c.revocations:
		return nil, fmt.Errorf("the setting %s needs %s", clusterFailClosedSetting, clusterRevocationsSetting)
	case c.witness && (c.listen == "" || c.store == ""):
		return nil, fmt.Errorf("the setting %s needs %s and %s", clusterWitnessSetting, clusterListenSetting, clusterStoreSetting)
	case !c.isCluster() && c.store == "" && !c.syncAlways && len(o.history) == 0 && c.presence == "" && !c.revocations:
		return nil, nil
	}
	if limit := o.server.Limits.ChannelName; limit > maxChannelName {
		return nil, o.named(&socketcluster.ConfigError{
			Field: "Limits.ChannelName", Reason: fmt.Sprintf("is %d; a node carries names of at most %d bytes", limit, maxChannelName),
		})
	}
	no, err := c.joining(log)
	if err != nil {
		return nil, err
	}
	no.Name, no.Listen, no.Advertise, no.URL, no.Prefix = c.node, c.listen, c.advertise, c.nats, c.prefix
	no.Witness = c.witness
	no.StoreDir, no.SyncAlways, no.UserClaim, no.History = c.store, c.syncAlways, c.userClaim, o.history
	no.Size, no.HistoryBytes = c.size, c.historyBytes
	node, err := cluster.Start(ctx, no)
	if err != nil {
		return nil, o.clusterError(err)
	}
	return node, nil
}

// joining returns what it takes to connect to other nodes.
func (c *clusterSettings) joining(log *slog.Logger) (no cluster.Options, err error) {
	no.Cluster, no.Logger = c.name, slog.New(settingNames{log.Handler()})
	no.Routes = strings.FieldsFunc(c.routes, func(r rune) bool { return r == ',' || r == ' ' })
	if no.Secret, err = c.secret(log); err == nil {
		no.TLS, err = c.tls(log)
	}
	return no, err
}

// secret returns the password of the nodes.
func (c *clusterSettings) secret(log *slog.Logger) (string, error) {
	if c.secretFile != "" {
		text, err := readLimited(c.secretFile, maxKeyFile)
		if err != nil {
			return "", fmt.Errorf("the setting %s: %w", clusterSecretFileSetting, err)
		}
		warnIfOpen(c.secretFile, log)
		return string(bytes.TrimSpace(text)), nil
	}
	if c.listen == "" && c.routes == "" {
		return "", nil
	}
	secret := os.Getenv(variable("cluster-secret"))
	if secret == "" {
		return "", fmt.Errorf("the nodes of a cluster need a password: set %s, or $%s to the password itself", clusterSecretFileSetting, variable("cluster-secret"))
	}
	return secret, nil
}

// errClusterKey is the error of nodes that would each make a key of their own.
var errClusterKey = errors.New("the nodes of a cluster need one key for tokens: " + errNoKey.Error())
