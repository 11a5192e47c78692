package wire

// Names of errors. Peers distinguish errors by name only.
const (
	NameAuthTokenExpired        = "AuthTokenExpiredError"
	NameAuthTokenInvalid        = "AuthTokenInvalidError"
	NameAuthTokenNotBefore      = "AuthTokenNotBeforeError"
	NameAuthToken               = "AuthTokenError"
	NameAuth                    = "AuthError"
	NameSilentMiddlewareBlocked = "SilentMiddlewareBlockedError"
	NameInvalidAction           = "InvalidActionError"
	NameInvalidArguments        = "InvalidArgumentsError"
	NameInvalidOptions          = "InvalidOptionsError"
	NameInvalidMessage          = "InvalidMessageError"
	NameSocketProtocol          = "SocketProtocolError"
	NameServerProtocol          = "ServerProtocolError"
	NameHTTPServer              = "HTTPServerError"
	NameResourceLimit           = "ResourceLimitError"
	NameProcessExit             = "ProcessExitError"
	NameUnknown                 = "UnknownError"
	NameTimeout                 = "TimeoutError"
	NameBadConnection           = "BadConnectionError"
	NameBroker                  = "BrokerError"
	NameInternal                = "InternalError" // of this server: see InternalError
)

// InternalError returns the error that a client receives in place of one that
// it must not see.
func InternalError() *Error {
	return &Error{Name: NameInternal, Message: "An internal error occurred"}
}

// Targets for errors.Is. They have no message, so they match every error with
// their name. They must not be changed.
var (
	ErrAuthTokenExpired        = &Error{Name: NameAuthTokenExpired}
	ErrAuthTokenInvalid        = &Error{Name: NameAuthTokenInvalid}
	ErrAuthTokenNotBefore      = &Error{Name: NameAuthTokenNotBefore}
	ErrAuthToken               = &Error{Name: NameAuthToken}
	ErrAuth                    = &Error{Name: NameAuth}
	ErrSilentMiddlewareBlocked = &Error{Name: NameSilentMiddlewareBlocked}
	ErrInvalidAction           = &Error{Name: NameInvalidAction}
	ErrInvalidArguments        = &Error{Name: NameInvalidArguments}
	ErrInvalidOptions          = &Error{Name: NameInvalidOptions}
	ErrInvalidMessage          = &Error{Name: NameInvalidMessage}
	ErrSocketProtocol          = &Error{Name: NameSocketProtocol}
	ErrServerProtocol          = &Error{Name: NameServerProtocol}
	ErrHTTPServer              = &Error{Name: NameHTTPServer}
	ErrResourceLimit           = &Error{Name: NameResourceLimit}
	ErrProcessExit             = &Error{Name: NameProcessExit}
	ErrUnknown                 = &Error{Name: NameUnknown}
	ErrTimeout                 = &Error{Name: NameTimeout}
	ErrBadConnection           = &Error{Name: NameBadConnection}
	ErrBroker                  = &Error{Name: NameBroker}
	ErrInternal                = &Error{Name: NameInternal}
)
