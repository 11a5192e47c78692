package main

import (
	"context"
	"errors"
	"time"

	"github.com/socketcluster-go/socketcluster"
	"github.com/socketcluster-go/socketcluster/auth/revoke"
	"github.com/socketcluster-go/socketcluster/cluster"
	"github.com/socketcluster-go/socketcluster/wire"
)

// life is that of a token.
const life = time.Hour

// claims are the claims of the token. The claim sub is the Options.UserClaim of the nodes, and
// that of revocations by user.
type claims struct {
	User string `json:"sub"`
}

// calls are the procedures of clients.
type calls struct {
	srv  *socketcluster.Server
	node *cluster.Node
}

func (c *calls) register() {
	c.srv.Handle("login", socketcluster.Proc(c.login))
	c.srv.Handle("ask", socketcluster.Func(c.ask))
	c.srv.Handle("nodes", socketcluster.Func(c.nodes))
	c.srv.Handle("logoutEverywhere", socketcluster.Proc(c.logoutEverywhere))
}

// login takes any name: a real application checks a password here, as the other examples
// do.
func (c *calls) login(ctx context.Context, name string) error {
	if name == "" || len(name) > 50 {
		return socketcluster.Errorf("LoginError", "Choose a short name")
	}
	return socketcluster.FromContext(ctx).SetAuthToken(ctx, claims{name})
}

// question is a question of a user to another.
type question struct {
	To   string `json:"to"`
	Text string `json:"text"`
}

// asked is a question as the other user gets it.
type asked struct {
	From string `json:"from"`
	Text string `json:"text"`
}

// ask asks a user on whichever node, and returns the answer of the first page that gives
// one.
func (c *calls) ask(ctx context.Context, q question) (string, error) {
	me, err := whoIs(ctx)
	if err != nil {
		return "", err
	}
	if len(q.Text) > 1000 {
		return "", socketcluster.Errorf("QuestionError", "The question is too long")
	}
	ctx, cancel := context.WithTimeout(ctx, 9*time.Second) // the client waits for 10
	defer cancel()
	answer, err := c.node.To(cluster.User(q.To)).Invoke(ctx, "asked", asked{me.User, q.Text})
	if errors.Is(err, cluster.ErrNobody) {
		return "", socketcluster.Errorf("NobodyError", "%s is not here", q.To)
	}
	if err != nil {
		return "", err
	}
	var text string
	return text, wire.Unmarshal(answer, &text)
}

// nodes is what the page shows of the cluster.
type nodes struct {
	This string   `json:"this"`
	All  []string `json:"all"`
}

func (c *calls) nodes(context.Context, socketcluster.None) (nodes, error) {
	return nodes{c.node.Name(), c.node.Nodes()}, nil
}

// logoutEverywhere ends all logins of the user, on all nodes. When it returns, no node
// accepts the tokens any more.
func (c *calls) logoutEverywhere(ctx context.Context, _ socketcluster.None) error {
	me, err := whoIs(ctx)
	if err != nil {
		return err
	}
	return c.srv.Revoke(ctx, revoke.Revocation{Subject: me.User, Until: time.Now().Add(life + time.Minute), Reason: "logout everywhere"})
}

func whoIs(ctx context.Context) (claims, error) {
	me, ok := socketcluster.Claims[claims](socketcluster.FromContext(ctx))
	if !ok {
		return claims{}, socketcluster.Errorf("AuthError", "You are not logged in")
	}
	return me, nil
}
