/**
 * Texts of a store, sealed with a key ring.
 *
 *     {"enc":"A256GCM","kid":"2026-11","ct":"…"}        ct: base64url of nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes)
 *
 * Each text is bound to where it belongs (a field of a task, the exit of a run): moved elsewhere, it does not open.
 *
 * @since 0.1.0
 */
import * as Aead from "effect/crypto/Aead"
import type { CryptoError } from "effect/crypto/CryptoError"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"

/** Of every JavaScript runtime, though not of the language. */
declare class TextEncoder {
  encode(text: string): Uint8Array
}
declare class TextDecoder {
  decode(bytes: Uint8Array): string
}

/** @internal */
export interface Cipher {
  readonly seal: (text: string, place: string) => Effect.Effect<string, CryptoError>
  /** Fails with the reason in words. */
  readonly open: (text: string, place: string) => Effect.Effect<string, string>
}

const nonceLength = Aead.aes256Gcm.nonceLength
const start = "{\"enc\":\"A256GCM\",\"kid\":"

interface Sealed {
  readonly kid: string
  readonly ct: string
}

const sealedOf = (text: string): Sealed | undefined => {
  if (!text.startsWith(start)) return undefined
  try {
    const { ct, kid } = JSON.parse(text) as Record<string, unknown>
    return typeof kid === "string" && typeof ct === "string" ? { kid, ct } : undefined
  } catch {
    return undefined
  }
}

/**
 * The id of the key that a text is sealed with; none of one that is not sealed.
 *
 * @internal
 */
export const keyIdOf = (text: string): string | undefined => sealedOf(text)?.kid

const services = Aead.layerWebCrypto.pipe(Layer.provideMerge(SecureRandom.layerWebCrypto))

/**
 * `clear`: whether texts that are not sealed are read as they are.
 *
 * @internal
 */
export const makeCipher = (options: {
  readonly current: string
  readonly keys: ReadonlyMap<string, Aead.Key>
  readonly clear: boolean
}): Effect.Effect<Cipher> =>
  Effect.gen(function*() {
    const { clear, current, keys } = options
    const aead = yield* Aead.Aead
    const random = yield* SecureRandom.SecureRandom
    const encoder = new TextEncoder()
    const decoder = new TextDecoder()
    const currentKey = keys.get(current)!

    const cipher: Cipher = {
      seal: (text, place) =>
        Effect.flatMap(random.randomBytes(nonceLength), (nonce) =>
          Effect.map(
            aead.encrypt(currentKey, encoder.encode(text), { nonce, aad: encoder.encode(place) }),
            (ciphertext) => {
              const bytes = new Uint8Array(nonce.length + ciphertext.length)
              bytes.set(nonce)
              bytes.set(ciphertext, nonce.length)
              return `${start}${JSON.stringify(current)},"ct":"${Base64Url.encode(bytes)}"}`
            }
          )),
      open: (text, place) => {
        const sealed = sealedOf(text)
        if (sealed === undefined) {
          return clear
            ? Effect.succeed(text)
            : Effect.fail(
              "it is not encrypted, and this program reads only what is (`unencrypted: \"read\"` reads both)"
            )
        }
        const { ct, kid } = sealed
        const key = keys.get(kid)
        if (key === undefined) {
          return Effect.fail(`it is encrypted with key \`${kid}\`, which this program's key ring does not have`)
        }
        const bytes = Base64Url.decode(ct)
        if (Result.isFailure(bytes) || bytes.success.length < nonceLength) return Effect.fail(broken(kid))
        const nonce = bytes.success.subarray(0, nonceLength)
        const opened = aead.decrypt(key, bytes.success.subarray(nonceLength), { nonce, aad: encoder.encode(place) })
        return Effect.mapBoth(opened, { onSuccess: (clear) => decoder.decode(clear), onFailure: () => broken(kid) })
      }
    }
    return cipher
  }).pipe(Effect.provide(services))

const broken = (kid: string): string =>
  `it does not open with key \`${kid}\`: that key has other bytes here, or the text was changed or belongs elsewhere`
