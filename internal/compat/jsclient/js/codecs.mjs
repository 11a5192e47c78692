// Steps with codecs that are packages of their own.
import {createRequire} from 'node:module';

const require = createRequire(import.meta.url);

export const steps = {
  // encodeEach returns the bytes of packets in hexadecimal.
  encodeEach: (codec, packets) => packets.map(packet => Buffer.from(require(codec).encode(packet)).toString('hex')),

  // decodeEach is the way back.
  decodeEach: (codec, messages) => messages.map(hex => require(codec).decode(Buffer.from(hex, 'hex')))
};
