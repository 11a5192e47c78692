// Command login-mysql logs users in against MySQL or MariaDB, over a socket
// and over HTTP.
//
//	export MYSQL_DSN='app:secret@tcp(127.0.0.1:3306)/app' AUTH_KEY=$(openssl rand -hex 32)
//	go run ./login-mysql -add alice # and type the password, which no history of the shell keeps then
//	go run ./login-mysql
//
// Clients call the procedure login over ws://localhost:8000/socketcluster/, or
// send the same data to http://localhost:8000/login, and present the token from
// there in their handshake.
package main

import (
	"bufio"
	"context"
	"database/sql"
	"flag"
	"log"
	"net/http"
	"os"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"github.com/socketcluster-go/socketcluster/login"
)

func main() {
	add := flag.String("add", "", "add the user with this `name` and the password on the standard input")
	flag.Parse()
	if err := run(context.Background(), *add); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, add string) error {
	db, err := sql.Open("mysql", os.Getenv("MYSQL_DSN"))
	if err != nil {
		return err
	}
	defer db.Close()
	users, err := openUsers(ctx, db)
	if err != nil {
		return err
	}
	if add != "" {
		line := bufio.NewScanner(os.Stdin)
		line.Scan() // without a line, the password is empty, and refused
		return users.add(ctx, add, line.Text(), []string{"user/" + login.NormalName(add)})
	}
	srv, handler, err := newHandler(os.Getenv("AUTH_KEY"), users)
	if err != nil {
		return err
	}
	return srv.Run(&http.Server{Addr: ":8000", Handler: handler, ReadHeaderTimeout: 5 * time.Second})
}
