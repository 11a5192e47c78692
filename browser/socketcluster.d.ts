// Types of socketcluster.js, a browser client for the SocketCluster protocol, version 2.
// Times are milliseconds. Errors are Error objects, to be told apart by name.

export type SocketState = 'connecting' | 'open' | 'closed';
export type AuthState = 'authenticated' | 'unauthenticated';
export type ChannelState = 'pending' | 'subscribed' | 'unsubscribed';

/** Where the signed token is kept between connections. */
export interface AuthEngine {
  loadToken(name: string): Promise<string | null>;
  saveToken(name: string, token: string, options: object): Promise<unknown>;
  /** Resolves with the token that was stored. */
  removeToken(name: string): Promise<string | null>;
}

export interface AutoReconnectOptions {
  /** Default 10000. */
  initialDelay?: number;
  /** Upper bound of the random time added to initialDelay; default 10000. */
  randomness?: number;
  /** Default 1.5. */
  multiplier?: number;
  /** Default 60000. */
  maxDelay?: number;
}

export interface SocketOptions {
  /** Default: the page's host, or localhost. */
  hostname?: string;
  /** Default: the page's port, or the one of the scheme. */
  port?: number | string;
  /** Default: whether the page came over https. */
  secure?: boolean;
  /** Default '/socketcluster/'. */
  path?: string;
  /** Query of the WebSocket address; an array repeats its key. */
  query?: string | Record<string, unknown>;
  /** Connect at creation; default true. */
  autoConnect?: boolean;
  /** Default true. Closings with 1000 or from 4500 on are final in any case. */
  autoReconnect?: boolean;
  autoReconnectOptions?: AutoReconnectOptions;
  /** Default 10000; also the time for the handshake. */
  ackTimeout?: number;
  /** Default 20000. */
  connectTimeout?: number;
  /** Do not expect pings; the server must have its pings switched off as well. */
  pingTimeoutDisabled?: boolean;
  /** Default `socketcluster.authToken.<hostname>:<port>`. */
  authTokenName?: string;
  /** Default: localStorage where it is usable, else the memory of the socket. */
  authEngine?: AuthEngine;
  /** Default: the global WebSocket. */
  WebSocket?: new (uri: string) => any;
}

/** Ends after what is queued when its stream is closed, at once when it is killed. */
export interface Consumer<T> extends AsyncIterableIterator<T> {
  next(): Promise<IteratorResult<T, undefined>>;
  return(): Promise<IteratorResult<T, undefined>>;
}

/** Each loop has a queue of its own, bounded to 10000 items, and sees what arrives after it began. */
export interface Stream<T> extends AsyncIterable<T> {
  createConsumer(timeout?: number): Consumer<T>;
  next(timeout?: number): Promise<IteratorResult<T, undefined>>;
  /** The next value; rejects with a TimeoutError when a timeout is given and passes. */
  once(timeout?: number): Promise<T>;
}

export interface SubscribeOptions {
  /** Request the subscription only while authenticated. */
  waitForAuth?: boolean;
  /** Channels with a higher priority are requested first; default 0. */
  priority?: number;
  /** Passed to the server's middleware. */
  data?: unknown;
  /** Begin with so many of the last messages of a channel that keeps them; default 0. For a channel that is not known yet. */
  last?: number;
}

/** Messages that will not come: the numbers of the first and the last one, or neither if that is not known. */
export interface Lost {
  from?: number;
  to?: number;
  /** Where the channel is; undefined if it keeps nothing. */
  position?: string;
}

export interface SubscriptionRequestOptions {
  waitForAuth?: true;
  data?: unknown;
}

export interface SubscribeStateChange {
  oldChannelState: ChannelState;
  newChannelState: ChannelState;
  subscriptionOptions?: SubscriptionRequestOptions;
}

export interface ChannelEvents {
  subscribe: {subscriptionOptions: SubscriptionRequestOptions};
  subscribeFail: {error: Error; subscriptionOptions: SubscriptionRequestOptions};
  subscribeStateChange: SubscribeStateChange;
  unsubscribe: {};
  kickOut: {message?: unknown};
  lost: Lost;
}

/** Iterating over a channel yields what is published to it. */
export interface Channel<T = any> extends Stream<T> {
  readonly name: string;
  readonly state: ChannelState;
  readonly options: SubscribeOptions;
  listener<E extends keyof ChannelEvents>(event: E): Stream<ChannelEvents[E]>;
  subscribe(options?: SubscribeOptions): void;
  unsubscribe(): void;
  isSubscribed(includePending?: boolean): boolean;
  transmitPublish(data?: unknown): Promise<void>;
  invokePublish(data?: unknown): Promise<void>;
  /** Ends all loops over the channel and its listeners after what is queued. The subscription stays. */
  close(): void;
  /** Ends all loops over the channel and its listeners now. The subscription stays. */
  kill(): void;
}

/** A procedure call of the server; to be answered once, by end or error. */
export interface ProcedureRequest<T = any> {
  readonly socket: Socket;
  readonly id: number;
  readonly procedure: string;
  readonly data: T;
  readonly sent: boolean;
  end(data?: unknown): void;
  error(error: unknown): void;
}

export interface CloseStatus {
  code: number;
  reason?: string;
}

export interface ConnectStatus {
  id: string;
  pingTimeout: number;
  isAuthenticated: boolean;
  /** Why the stored token was refused. */
  authError?: Error;
  /** The signed token that was presented. */
  authToken: string | null;
}

export interface Identity<Claims = any> {
  signedAuthToken: string | null;
  authToken: Claims | null;
}

export interface SocketEvents {
  connecting: {};
  connect: ConnectStatus;
  /** The connection ended before it was open. */
  connectAbort: CloseStatus;
  /** The connection ended after it was open. */
  disconnect: CloseStatus;
  /** Follows connectAbort and disconnect. */
  close: CloseStatus;
  error: {error: Error};
  authenticate: Identity;
  deauthenticate: {oldSignedAuthToken: string | null; oldAuthToken: any};
  authStateChange: {oldAuthState: AuthState; newAuthState: AuthState} & Partial<Identity>;
  removeAuthToken: {oldAuthToken: string | null};
  subscribe: ChannelEvents['subscribe'] & {channel: string};
  subscribeFail: ChannelEvents['subscribeFail'] & {channel: string};
  subscribeStateChange: SubscribeStateChange & {channel: string};
  unsubscribe: {channel: string};
  kickOut: {channel: string; message?: unknown};
  lost: Lost & {channel: string};
  /** What is not a packet of the protocol. */
  raw: {message: string | ArrayBuffer};
  /** Everything that arrives, pings included. */
  message: {message: string | ArrayBuffer};
}

export interface CallOptions {
  ackTimeout?: number;
}

export interface AuthStatus {
  isAuthenticated: boolean;
  authError: Error | null;
}

export interface Socket {
  readonly CONNECTING: 'connecting';
  readonly OPEN: 'open';
  readonly CLOSED: 'closed';
  readonly AUTHENTICATED: 'authenticated';
  readonly UNAUTHENTICATED: 'unauthenticated';
  readonly PENDING: 'pending';
  readonly SUBSCRIBED: 'subscribed';
  readonly UNSUBSCRIBED: 'unsubscribed';

  /** Given by the server for each connection; null without one. */
  readonly id: string | null;
  readonly state: SocketState;
  readonly authState: AuthState;
  /** The claims of the token, not verified: only the server can do that. */
  readonly authToken: any;
  readonly signedAuthToken: string | null;
  readonly authTokenName: string;
  readonly pendingReconnect: boolean;
  readonly pendingReconnectTimeout: number | null;
  readonly connectAttempts: number;

  uri(): string;
  /** Does nothing while connecting or open, unless options are given: these replace the connection. */
  connect(options?: SocketOptions): void;
  /** Default code 1000. Another code below 4500 is followed by an automatic reconnect. */
  disconnect(code?: number, reason?: string): void;
  reconnect(code?: number, reason?: string): void;

  /** Connects first when closed. An event that is lost before it was sent is reported by an error event. */
  transmit(event: string, data?: unknown, options?: CallOptions): Promise<void>;
  /** Connects first when closed. */
  invoke<T = any>(event: string, data?: unknown, options?: CallOptions): Promise<T>;
  receiver<T = any>(event: string): Stream<T>;
  procedure<T = any>(name: string): Stream<ProcedureRequest<T>>;
  listener<E extends keyof SocketEvents>(event: E): Stream<SocketEvents[E]>;

  authenticate(signedToken: string): Promise<AuthStatus>;
  /** Logs out here and, when connected, on the server; works offline too. */
  deauthenticate(): Promise<void>;

  /** For a known channel only the options are replaced. */
  subscribe<T = any>(name: string, options?: SubscribeOptions): Channel<T>;
  unsubscribe(name: string): void;
  /** The channel without subscribing to it. */
  channel<T = any>(name: string): Channel<T>;
  subscriptions(includePending?: boolean): string[];
  isSubscribed(name: string, includePending?: boolean): boolean;
  getChannelState(name: string): ChannelState;
  getChannelOptions(name: string): SubscribeOptions;
  transmitPublish(channel: string, data?: unknown): Promise<void>;
  invokePublish(channel: string, data?: unknown): Promise<void>;
}

/** Creates a socket, and unless autoConnect is false connects it. */
export function create(options?: SocketOptions): Socket;
