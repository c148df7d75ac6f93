/**
 * Masks secrets in encoded values. `Schema.toCodecJson` writes a `Redacted` in clear text, which is right for what is
 * stored and wrong for what is shown.
 *
 * The schema says where secrets are, so the encoded value is walked along it:
 *
 *     Redacted                      the whole value becomes "<redacted>"
 *     struct, record, array, union  inside, where its parts have secrets
 *     a node with an encoding       along the encoded side, if every secret of the node is found there;
 *                                   otherwise the whole value is masked: where the secret went cannot be told
 *
 * It errs on one side: a value that may hold a secret is masked.
 *
 * @since 0.1.0
 */
import type * as SchemaAST from "effect/SchemaAST"

/** @internal */
export const redacted = "<redacted>"

/** @internal */
export type Mask = (value: unknown) => unknown

/**
 * How to mask what this schema encodes, `undefined` when it holds no secret.
 *
 * @internal
 */
export const compileMask = (ast: SchemaAST.AST): Mask | undefined =>
  secrets(ast) === 0 ? undefined : maskOf(ast, new Map())

const everything: Mask = () => redacted

const isRedacted = (ast: SchemaAST.AST): boolean =>
  ast._tag === "Declaration" && hasId(ast.annotations?.["representation"])

const hasId = (representation: unknown): boolean =>
  typeof representation === "object" && representation !== null && "id" in representation &&
  representation.id === "effect/schema/Redacted"

const links = (ast: SchemaAST.AST): ReadonlyArray<SchemaAST.AST> => ast.encoding?.map((link) => link.to) ?? []

// Parts of a node itself, without its encoding.
const parts = (ast: SchemaAST.AST): ReadonlyArray<SchemaAST.AST> => {
  switch (ast._tag) {
    case "Declaration":
      return ast.typeParameters
    case "Objects":
      return [
        ...ast.propertySignatures.map((property) => property.type),
        ...ast.indexSignatures.flatMap((index) => [index.parameter, index.type])
      ]
    case "Arrays":
      return [...ast.elements, ...ast.rest]
    case "Union":
      return ast.types
    case "Suspend":
      return [ast.thunk()]
    default:
      return []
  }
}

// How many secrets a node holds: its own side or its encoded side, whichever has more.
const secrets = (ast: SchemaAST.AST, met: Set<SchemaAST.AST> = new Set()): number =>
  Math.max(ownSecrets(ast, met), ...links(ast).map((to) => secrets(to, met)))

const ownSecrets = (ast: SchemaAST.AST, met: Set<SchemaAST.AST> = new Set()): number => {
  if (isRedacted(ast)) return 1
  if (ast._tag === "Suspend") {
    // Every cycle of a schema goes through one of these.
    if (met.has(ast)) return 0
    met.add(ast)
  }
  return parts(ast).reduce((count, part) => count + secrets(part, met), 0)
}

const maskOf = (ast: SchemaAST.AST, known: Map<SchemaAST.AST, Mask>): Mask => {
  const found = known.get(ast)
  if (found !== undefined) return found
  // A recursive schema meets itself again while it is being compiled.
  known.set(ast, (value) => compiled(value))
  const compiled = compileNode(ast, known)
  known.set(ast, compiled)
  return compiled
}

const compileNode = (ast: SchemaAST.AST, known: Map<SchemaAST.AST, Mask>): Mask => {
  if (secrets(ast) === 0) return (value) => value
  if (isRedacted(ast)) return everything
  const encoded = links(ast)
  const last = encoded.at(-1)
  if (last !== undefined) {
    const elsewhere = [ownSecrets(ast), ...encoded.slice(0, -1).map((to) => secrets(to))]
    return secrets(last) >= Math.max(...elsewhere) ? maskOf(last, known) : everything
  }
  switch (ast._tag) {
    case "Objects":
      return maskObject(ast, known)
    case "Arrays":
      return maskArray(ast, known)
    case "Union": {
      // Which member encoded the value is not known; a mask that does not fit its shape leaves it alone.
      const members = ast.types.map((type) => maskOf(type, known))
      return (value) => members.reduce((masked, mask) => mask(masked), value)
    }
    case "Suspend":
      return maskOf(ast.thunk(), known)
    default:
      return everything
  }
}

const maskObject = (ast: SchemaAST.Objects, known: Map<SchemaAST.AST, Mask>): Mask => {
  const properties = new Map<PropertyKey, Mask>(
    ast.propertySignatures.map((property) => [property.name, maskOf(property.type, known)])
  )
  const others = ast.indexSignatures.map((index) => ({
    parameter: secrets(index.parameter) > 0,
    mask: maskOf(index.type, known)
  }))
  const maskRecord: Mask = (value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value
    return Object.fromEntries(
      Object.entries(value).map(([key, child]) => {
        const property = properties.get(key)
        return [
          key,
          property === undefined ? others.reduce((masked, { mask }) => mask(masked), child) : property(child)
        ]
      })
    )
  }
  return others.some((other) => other.parameter) ? everything : maskRecord
}

const maskArray = (ast: SchemaAST.Arrays, known: Map<SchemaAST.AST, Mask>): Mask => {
  const elements = ast.elements.map((element) => maskOf(element, known))
  const rest = ast.rest.map((type) => maskOf(type, known))
  return (value) =>
    Array.isArray(value)
      // After a variadic part, positions count from the end: every later part may be meant.
      ? value.map((child, i) =>
        i < elements.length ? elements[i]?.(child) : rest.reduce((masked, mask) => mask(masked), child)
      )
      : value
}
