/**
 * What every script begins with: the records and indexes of a store in Redis, in Lua.
 *
 *     basics ◀── indexes ◀── tasks ◀── lines ◀── runs ◀── answers        (lua/, each a text that goes on where the one before ends)
 *
 * All keys begin with `{prefix}`, so that they are in one slot of a cluster; it is the only key a script is given.
 *
 * | key | type | holds |
 * |---|---|---|
 * | `{p}` | hash | `schema`, `writer`; the latest `generation` and `token`; `known` (see `TaskStore.listen`) and `wake`, the number of the latest wake-up; `run` of the server and when that last `saved`; the least `revision` that its changes give |
 * | `:t:<g>` · `:d:<g>` | texts | a task: what changes with its evaluations and runs (below) · its definition (`fields.ts`) |
 * | `:r:<g>:<n>` | text | its nth run, open or ended (`fields.ts`) |
 * | `:id` · `:gone` | hash · places | generations by id · of removed tasks that still have runs |
 * | `:due` · `:created` | scores | tasks; those that are never due are so at infinity |
 * | `:ids` · `:zoned` · `:events` | places | tasks by id · by zone rules · that have events |
 * | `:later:<b>` · `:ready:<b>` | scores · places | ready runs of a bucket (version, executor, tag), by the instant they may be claimed · in the order of claims |
 * | `:seen` · `:versions:<…>` | hash · scores | up to which instant `later` is in `ready` too · the versions of an executor and tag |
 * | `:lines:<…>` · `:lanes:<l>` | scores · places | lines of an executor and tag to look at, in turn · the buckets of a line (a concurrency key and tag) |
 * | `:busy:<l>` · `:apart:<b>` | places · scores | running runs of a line · ready runs of a version, executor and tag that are in lines, as `later` |
 * | `:leases` · `:ended` · `:runs` | scores | running runs by end of lease, with keys · history by end, with numbers · all runs by due, with numbers |
 * | `:instance` · `:instances` | hash · scores | schedulers by id · by until when they are to be believed |
 * | `:q` · `:q:<g>` | places · hash | tasks with verdicts · their verdicts by reader |
 *
 * | line of a task | |
 * |---|---|
 * | 1 | its revision, none where it is removed; how many runs it has had; the numbers of those that have ended, in the order of their ends: `1-3;5;4`, and `x2` where two were pruned |
 * | 2 | its open runs, number and key, a tab between them |
 * | 3 · 4 · 5 | its kind · pause · clock (`fields.ts`) |
 * | the rest | its zone rules, as `:zoned` has them; or the id of a removed one |
 *
 * `<g>` is a generation in 16 digits. Keys of runs are JSON, in quotes. *Scores* are instants, which a double holds exactly; members of one score sort as
 * bytes. *Places* are sorted sets whose scores are all zero: members begin with what they are sorted by. A number in a
 * member is preceded by a letter, the nth where it has n digits, so that it sorts as one.
 *
 * Commands are what costs, and after them every text that Lua makes. So a batch reads and writes in a few commands, however
 * many its entries (records are texts for that: a hash could only be read by a command of its own); clients send what is
 * written, finished; records are copied, and read a line where they must be; numbers are texts of digits throughout.
 * A script reads what it needs, changes it, and writes it back at its end, so that one that fails half way has changed
 * no task and no open run.
 *
 * @since 0.1.0
 */
import { answers } from "./lua/answers.ts"
import { basics } from "./lua/basics.ts"
import { indexes } from "./lua/indexes.ts"
import { lines } from "./lua/lines.ts"
import { runs } from "./lua/runs.ts"
import { tasks } from "./lua/tasks.ts"

export { otherSchemaPrefix, schema } from "./lua/basics.ts"

export const library = basics + indexes + tasks + lines + runs + answers
