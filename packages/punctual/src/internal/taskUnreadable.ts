/**
 * What a store answers in the place of a text that it has and cannot read, so that whoever reads it is told why: a JSON
 * text that says the reason.
 *
 * @since 0.1.0
 */
const start = "{\"punctual/unreadable\":"

/** @internal */
export const unreadableText = (reason: string): string => `${start}${JSON.stringify(reason)}}`

/**
 * The reason, if the text is one that could not be read.
 *
 * @internal
 */
export const unreadableReason = (text: string): string | undefined => {
  if (!text.startsWith(start)) return undefined
  try {
    const reason: unknown = JSON.parse(text.slice(start.length, -1))
    return typeof reason === "string" ? reason : undefined
  } catch {
    return undefined
  }
}
