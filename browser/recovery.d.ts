/** An engine that socketcluster-client encodes and decodes messages by. */
export interface CodecEngine {
  encode(object: unknown): unknown;
  decode(message: unknown): unknown;
}

export interface RecoveryOptions {
  /** Reads and writes the messages. Default: JSON. */
  codec?: CodecEngine;
  /** How many earlier publications a subscription begins with. Default: 0. */
  last?: number | ((channel: string) => number);
  /** Is told of publications that are gone; without numbers, it is not known which. */
  onLost?(channel: string, from?: number, to?: number): void;
}

/** Returns the codecEngine of one socket, which gets what was missed while it was away. */
export function recovery(options?: RecoveryOptions): CodecEngine;
