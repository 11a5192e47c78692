// The bench command compares the server of this project with two others: the
// stock JavaScript server, and a server on centrifuge, the peer in Go. It
// starts each as a child process, puts the same load on it, in its protocol,
// and reports the cost of an operation for the server, as a Markdown table or
// as JSON.
//
// The unit of cost is microseconds of CPU time of the server process, user and
// system together and over all its threads, or kilobytes of resident memory
// (VmRSS). Rates, in the JSON, depend on how many cores are left to the load
// generator and are there for orientation only.
//
// Every measurement gets a server process of its own. Within a scenario the
// servers take turns for several rounds, and the medians count, so that a slow
// drift of the machine affects all alike. A ratio of two servers is the median
// of the ratios of the rounds. All traffic stays on 127.0.0.1.
//
// Run it from internal/compat:
//
//	go run ./bench [-duration 5s] [-connections 10000] [-rounds 3] [-only go,centrifuge,js] [-run regexp] [-json | -gate | -cluster | -command | -curves directory]
//
// With -curves it draws how costs change with the number of connections,
// subscribers, channels and procedures, with TLS and with compression.
//
// With -cluster it measures three nodes as a cluster, and the cluster of the stock
// JavaScript packages where that has the same: the CPU time of all processes, latencies,
// memory, and the time that faults take.
//
// With -command it has the bench of the shipped command measure the two servers that
// speak SocketCluster, and prints its tables and their comparison.
//
// With -gate it only checks that no operation costs more than it should, and
// fails otherwise.
//
// It runs on Linux only, because it reads the CPU clock of another process
// and /proc.
package main
