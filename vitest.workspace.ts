/**
 * The test projects of this repository, one per package: `vitest run --project sql` runs one of them.
 *
 * `vitest.config.ts` reads this list. A folder without tests yet is a project all the same.
 */
import type { TestProjectConfiguration } from "vitest/config"

const project = (name: string, root: string): TestProjectConfiguration => ({
  extends: true,
  root,
  test: { name, include: ["test/**/*.test.ts"] }
})

const projects: Array<TestProjectConfiguration> = [
  project("punctual", "packages/punctual"),
  project("testing", "packages/testing"),
  project("sql", "packages/sql"),
  project("node", "packages/node"),
  project("mongo", "packages/mongo"),
  project("redis", "packages/redis"),
  project("cluster", "packages/cluster"),
  project("examples", "examples"),
  project("benchmarks", "benchmarks")
]

export default projects
