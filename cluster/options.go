package cluster

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
)

// Options of a node. The zero value is a node that is alone.
type Options struct {
	// Name is the name of the node, which no other node of the cluster may have,
	// and which it keeps over restarts. Letters, digits, - and _. Default: the
	// name of the host.
	Name string

	// Cluster is the name of the cluster, the same for all nodes. Default:
	// socketcluster.
	Cluster string

	// Listen is the address at which other nodes connect, such as 0.0.0.0:6222.
	// It must be reachable for them only. Default: none, for a node that is
	// alone.
	Listen string

	// Advertise is the address of Listen as other nodes see it, if that is
	// another one. Nodes tell each other of it, so they also connect to nodes that
	// are not in their Routes. Default: the address from which the node connects
	// to others, with the port of Listen.
	Advertise string

	// Routes are the addresses of the nodes. One that works is enough if nodes
	// advertise theirs. A name may have several addresses. The node's own may be among them.
	Routes []string

	// Size is how many nodes of the cluster have a StoreDir. Nodes with empty stores wait
	// until so many are there, so that some that have lost their stores do not begin anew
	// beside others. Default: the number of Routes, two at least. Set it if these do not
	// list all nodes, the own one included, as with one name for all.
	Size int

	// Secret is the password of the routes, the same for all nodes: at least 16
	// bytes. It is needed with Listen.
	Secret string

	// TLS encrypts and authenticates routes: the certificate is used in both
	// directions, RootCAs check those of the nodes to which this one connects, and
	// ClientCAs those of nodes that connect, which then need one. Default: none.
	TLS *tls.Config

	// StoreDir is the directory in which the node stores what outlives it. No other
	// node may use it. With Listen, it needs Routes. A node that was alone, without
	// Listen, does not take its histories along into a cluster, or back. It does not
	// start if it would leave revocations behind. Default: none, for a node with plain
	// channels only.
	StoreDir string

	// Witness is the role of a node without a server, which only stores and votes: its Broker
	// takes none. Others see it in Stats. It needs StoreDir and Listen. Default: false.
	Witness bool

	// SyncAlways makes the node write what it stores through to the disk before it
	// acknowledges it. Otherwise the last two minutes may be lost if the power fails,
	// and nothing if only the process dies. It needs StoreDir, and makes each
	// acknowledgement slower by a write of the disk. Default: false.
	SyncAlways bool

	// History has the rules for channels that keep what is published. The first that
	// matches decides. All nodes must have the same, and StoreDir or URL. Default:
	// channels keep nothing.
	History []HistoryRule

	// HistoryBytes is what the histories may take of the disk of each node: so much for all
	// rules with one number of copies, and some more for the log of NATS. Channels share
	// eight parts of it. When one is full, its oldest publications go first, whatever their
	// rules say, and who has missed them is told. The store should be on a disk with twice as much.
	// All nodes should have the same; that of the first by name counts. Default:
	// [DefaultHistoryBytes].
	HistoryBytes int64

	// URL is the address of an outside NATS in place of one in the process, such
	// as nats://nats:4222. Options of the connection, such as credentials, are in
	// Connect. Then Listen, Advertise, Routes, Secret, TLS, StoreDir, SyncAlways and Witness must be empty.
	URL     string
	Connect []nats.Option

	// Prefix begins the subjects of an outside NATS that others use too. Default:
	// sc.
	Prefix string

	// UserClaim is the claim of a token that names its user, for [User] and for
	// presence. All nodes must have the same. Revocations by user are of the claim
	// sub unless they name another one. Default: username.
	UserClaim string

	// Logger gets what NATS and the node report. Default: [slog.Default].
	Logger *slog.Logger
}

// DefaultHistoryBytes is 1 GiB.
const DefaultHistoryBytes = 1 << 30

// minHistoryBytes leaves room for two of the largest publications in each stream.
const minHistoryBytes = 2 * numShards * maxPayload

var validName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// minSecret is the minimum length of Options.Secret.
const minSecret = 16

func (o *Options) setDefaults() error {
	if o.Name == "" {
		name, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("cluster: Options.Name is empty, and the host has no name: %w", err)
		}
		o.Name = regexp.MustCompile(`[^A-Za-z0-9_-]`).ReplaceAllString(name, "-")
	}
	o.Cluster = cmp.Or(o.Cluster, "socketcluster")
	o.Prefix = cmp.Or(o.Prefix, "sc")
	o.UserClaim = cmp.Or(o.UserClaim, "username")
	o.HistoryBytes = cmp.Or(o.HistoryBytes, DefaultHistoryBytes)
	if o.HistoryBytes < minHistoryBytes {
		return fmt.Errorf("cluster: Options.HistoryBytes is %d; it must be at least %d", o.HistoryBytes, minHistoryBytes)
	}
	for _, name := range []struct{ option, value string }{{"Name", o.Name}, {"Cluster", o.Cluster}, {"Prefix", o.Prefix}} {
		if !validName.MatchString(name.value) {
			return fmt.Errorf("cluster: Options.%s is %q; it must be 1 to 64 letters, digits, - and _", name.option, name.value)
		}
	}
	if !utf8.ValidString(o.UserClaim) {
		return fmt.Errorf("cluster: Options.UserClaim is %q; it must be UTF-8", o.UserClaim)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if len(o.History) > 0 && o.StoreDir == "" && o.URL == "" {
		return errors.New("cluster: Options.History needs Options.StoreDir")
	}
	if o.URL != "" {
		if o.Listen != "" || o.Advertise != "" || len(o.Routes) > 0 || o.Secret != "" || o.TLS != nil || o.StoreDir != "" || o.SyncAlways || o.Witness {
			return errors.New("cluster: with Options.URL, NATS is outside: Listen, Advertise, Routes, Secret, TLS, StoreDir, SyncAlways and Witness must be empty")
		}
		return nil
	}
	if o.Witness && (o.StoreDir == "" || o.Listen == "") {
		return errors.New("cluster: Options.Witness needs Options.StoreDir and Options.Listen: it stores, and votes")
	}
	if o.SyncAlways && o.StoreDir == "" {
		return errors.New("cluster: Options.SyncAlways needs Options.StoreDir")
	}
	if o.Listen == "" {
		if len(o.Routes) > 0 {
			return errors.New("cluster: Options.Routes needs Options.Listen: nodes connect to each other")
		}
		if o.Advertise != "" {
			return errors.New("cluster: Options.Advertise needs Options.Listen, whose address it is")
		}
		return nil
	}
	if len(o.Secret) < minSecret {
		return fmt.Errorf("cluster: Options.Secret has %d bytes; it must have at least %d, the same for all nodes", len(o.Secret), minSecret)
	}
	if o.Size != 0 && (o.Size < 2 || o.Size < len(o.Routes)) {
		return fmt.Errorf("cluster: Options.Size is %d; it must be at least 2, and there are %d Routes", o.Size, len(o.Routes))
	}
	if o.StoreDir != "" && len(o.Routes) == 0 {
		return errors.New("cluster: Options.StoreDir with Options.Listen needs Options.Routes: storage is that of the cluster")
	}
	if err := checkAddress("Listen", o.Listen); err != nil {
		return err
	}
	if o.Advertise != "" {
		if err := checkRemote("Advertise", o.Advertise); err != nil {
			return err
		}
	}
	for _, addr := range o.Routes {
		if err := checkRemote("Routes", addr); err != nil {
			return err
		}
	}
	return nil
}

func checkAddress(option, addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("cluster: Options.%s: %q is not an address such as host:6222: %w", option, addr, err)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("cluster: the port of Options.%s is %q; it must be a number of at most 65535", option, port)
	}
	return nil
}

// checkRemote checks an address to which nodes connect. NATS tells it to others as a URL.
func checkRemote(option, addr string) error {
	if err := checkAddress(option, addr); err != nil {
		return err
	}
	u, err := url.Parse((&url.URL{Scheme: "nats", Host: addr}).String())
	if err == nil && u.Hostname() == "" {
		err = errors.New("it has no host")
	}
	if err != nil {
		return fmt.Errorf("cluster: Options.%s: %q is not an address such as host:6222: %w", option, addr, err)
	}
	return nil
}
