/**
 * The few calls this store makes to its database, as a port of its own.
 *
 * The store is written over this, so that its protocol can also be tried on a pretended database, whose calls are
 * interleaved on purpose. `driver.ts` is the real one. What the store relies on: each single call on one document is
 * atomic, and a filter is tested in the same step in which the document is written.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type { StoreErrorReason } from "punctual/TaskStore"

/** What went wrong, in the words of the port of stores. */
export class DatabaseError extends Data.TaggedError("DatabaseError")<{
  readonly reason: typeof StoreErrorReason.Type
  readonly message: string
  readonly cause: unknown
}> {}

/** A filter, a sort, a projection or an update in MongoDB's language. */
export type Clause = Readonly<Record<string, unknown>>

export interface FindOptions {
  readonly sort?: Readonly<Record<string, 1 | -1>> | undefined
  readonly limit?: number | undefined
  readonly projection?: Readonly<Record<string, 0 | 1>> | undefined
}

/** One write among several that are sent together. */
export type BulkWrite =
  | { readonly filter: Clause; readonly update: Clause }
  | { readonly filter: Clause; readonly remove: "one" | "many" }

export interface Index {
  readonly name: string
  readonly key: Readonly<Record<string, 1 | -1>>
  readonly sparse?: boolean | undefined
}

export interface Collection<Doc> {
  readonly find: (filter: Clause, options?: FindOptions) => Effect.Effect<ReadonlyArray<Doc>, DatabaseError>
  /** Each by itself; answers the positions of those whose `_id` existed. */
  readonly insert: (docs: ReadonlyArray<Doc>) => Effect.Effect<ReadonlySet<number>, DatabaseError>
  /** Whether a document matched. */
  readonly update: (filter: Clause, update: Clause) => Effect.Effect<boolean, DatabaseError>
  /** Puts a document in the place of the one of its `_id`, if there is one. */
  readonly replace: (doc: Doc) => Effect.Effect<void, DatabaseError>
  /** Whether a document matched. */
  readonly remove: (filter: Clause) => Effect.Effect<boolean, DatabaseError>
  /** In any order; answers how many documents were changed or removed. */
  readonly bulk: (writes: ReadonlyArray<BulkWrite>) => Effect.Effect<number, DatabaseError>
  readonly createIndexes: (indexes: ReadonlyArray<Index>) => Effect.Effect<void, DatabaseError>
}

export interface Database {
  /** Such as `7.0.4`. */
  readonly version: string
  /** What its clock shows, in milliseconds. */
  readonly time?: Effect.Effect<number, DatabaseError> | undefined
  readonly collection: <Doc extends { readonly _id: string }>(name: string) => Collection<Doc>
  /** Adds to the field `n` of a document, which it creates at zero, in one step; answers the sum. */
  readonly increment: (
    collection: string,
    id: string,
    by: number,
    set?: Clause
  ) => Effect.Effect<number, DatabaseError>
  /**
   * Hands over one document as it is once the watching has begun, and then as it becomes, until interrupted; `undefined`
   * where the server cannot.
   */
  readonly watch:
    | ((
      collection: string,
      id: string,
      onChange: (doc: Clause) => Effect.Effect<void>
    ) => Effect.Effect<never, DatabaseError>)
    | undefined
}
