package socketcluster

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/socketcluster-go/socketcluster/internal/guard"
	"github.com/socketcluster-go/socketcluster/internal/ws"
	"github.com/socketcluster-go/socketcluster/wire"
)

// seal makes the frame of a packet or a batch, which is JSON after header
// space. It returns nil if Config.Codec cannot encode it.
func (srv *Server) seal(buf []byte) []byte {
	if srv.cfg.Codec == nil {
		return ws.Seal(buf, ws.OpText)
	}
	frame, err := srv.sealCoded(buf[ws.HeaderSpace:])
	if err != nil {
		srv.log.Error("Config.Codec cannot encode a packet, which is dropped", slog.Any("error", err))
		return nil
	}
	return frame
}

// sealCoded encodes a message by the codec, and makes a frame of it.
func (srv *Server) sealCoded(message []byte) ([]byte, error) {
	out, err := srv.encode(ws.NewBuffer(len(message)), message)
	if err != nil {
		return nil, err
	}
	op := ws.OpText
	if srv.cfg.Codec.Binary() {
		op = ws.OpBinary
	}
	return ws.Seal(out, op), nil
}

// encode lets the codec append a message. A panic in it becomes an error,
// because locks are held here.
func (srv *Server) encode(dst, message []byte) (out []byte, err error) {
	err = guard.Call(srv.log, "Codec.Encode", func() error {
		out, err = srv.cfg.Codec.Encode(dst, message)
		return err
	})
	return out, err
}

var errWrongFrame = &wire.Error{Name: wire.NameInvalidMessage, Message: "The codec of the server takes binary messages"}

// decode converts a message from the client to JSON. The error is a
// *wire.Error, wire.ErrMessageTooLarge or a *guard.PanicError.
func (s *Socket) decode(message []byte, binary bool) (decoded []byte, err error) {
	codec := s.srv.cfg.Codec
	if codec == nil {
		return message, nil
	}
	if codec.Binary() && !binary {
		return nil, errWrongFrame
	}
	_, most := s.messageSize()
	err = guard.Call(s.srv.log, "Codec.Decode", func() error {
		decoded, err = codec.Decode(nil, message, most)
		if err != nil && !errors.Is(err, wire.ErrMessageTooLarge) {
			err = &wire.Error{Name: wire.NameInvalidMessage, Message: err.Error()}
		}
		return err
	}, slog.String("socket", s.ID()))
	return decoded, err
}

// undecodable handles a message that the codec could not decode (TR-28).
func (s *Socket) undecodable(err error) {
	tooLarge := errors.Is(err, wire.ErrMessageTooLarge)
	if tooLarge {
		err = fmt.Errorf("%w: %s", err, s.exceeded(s.messageSize()))
	}
	s.emitError(err)
	switch {
	case tooLarge:
		s.disconnect(wire.CloseTooBig, "", err.Error())
	case errors.As(err, new(*guard.PanicError)):
		s.closeWith(wire.CloseInternal)
	case s.State() == Connecting:
		s.early()
	}
}
