module github.com/socketcluster-go/socketcluster/internal/compat/wall/goclients

go 1.26.0

require (
	github.com/breiting/socketcluster-client-go v1.0.1
	github.com/sacOO7/socketcluster-client-go v1.0.0
)

require (
	github.com/gorilla/websocket v1.5.3 // indirect
	github.com/rgamba/evtwebsocket v0.0.0-20181029234908-48b8cd9f8616 // indirect
	github.com/sacOO7/go-logger v0.0.0-20180719173527-9ac9add5a50d // indirect
	github.com/sacOO7/gowebsocket v0.0.0-20221109081133-70ac927be105 // indirect
	golang.org/x/net v0.62.0 // indirect
)
