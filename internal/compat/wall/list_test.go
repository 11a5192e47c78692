package wall

import "github.com/socketcluster-go/socketcluster/wire"

// clients are the rows of the table, in its order.
var clients = []client{
	stock("20", "20.0.2", wire.Version2),
	stock("19", "19.2.7", wire.Version2),
	stock("18", "18.3.0", wire.Version2),
	stock("17", "17.2.2", wire.Version2),
	stock("16", "16.1.1", wire.Version2),
	stock("15", "15.1.0", wire.Version2),
	stock("14", "14.3.2", wire.Version1),
	stock("13", "13.0.1", wire.Version1),
	stock("11", "11.2.2", wire.Version1),
	stock("10", "10.1.2", wire.Version1),
	stock("9", "9.0.4", wire.Version1),
	stock("8", "8.0.2", wire.Version1),
	stock("7", "7.0.2", wire.Version1),
	stock("6", "6.4.0", wire.Version1),
	stock("5-5", "5.5.2", wire.Version1),
	stock("5", "5.0.21", wire.Version1),
	stock("4", "4.3.19", wire.Version1),
	stock("3", "3.1.1", wire.Version1),
	stock("2", "2.4.1", wire.Version1).failing(map[string]string{
		"pings": "Its pings are `1` and `2`, not `#1` and `#2`. It connects again after each `Timeouts.Ping`.",
	}),
	stock("20", "20.0.2", wire.Version2).withMinBin(),
	stock("14", "14.3.2", wire.Version1).withMinBin(),
	{
		name: "asyngular-client", version: "6.2.4", language: "JavaScript", protocol: wire.Version2,
		path: "/asyngular/", command: npmClient("asyngular-client"),
	},
	{
		name: "github.com/sacOO7/socketcluster-client-go", version: "v1.0.0", language: "Go", protocol: wire.Version1,
		command: goClient("sacOO7"), fails: noReconnect,
	},
	{
		name: "github.com/breiting/socketcluster-client-go", version: "v1.0.1", language: "Go", protocol: wire.Version1,
		command: goClient("breiting"), fails: noReconnect,
	},
}

// noReconnect is why both Go clients do not come back.
var noReconnect = map[string]string{"reconnect": "It does not connect again by itself."}

// stock is socketcluster-client from npm, in the version that the pinned packages
// have under a suffix.
func stock(suffix, version string, protocol wire.Version) client {
	alias := "socketcluster-client-" + suffix
	if suffix == "20" {
		alias = "socketcluster-client"
	}
	return client{
		name: "socketcluster-client", version: version, language: "JavaScript", protocol: protocol, command: npmClient(alias),
	}
}

// failing returns the client with the reasons why steps fail.
func (c client) failing(fails map[string]string) client {
	c.fails = fails
	return c
}

// withMinBin returns the client with the codec of sc-codec-min-bin.
func (c client) withMinBin() client {
	c.with, c.minbin = " with `sc-codec-min-bin`", true
	return c
}
