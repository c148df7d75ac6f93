import * as TaskStoreSuite from "@punctual/testing/TaskStoreSuite"
import { onServer, storeOn } from "./internal/server.ts"

await onServer((server) => {
  TaskStoreSuite.suite("mongodb", storeOn(server), {
    capabilities: { durable: true, shared: true, notifies: true, concurrencyKeys: false },
    skip: server.ferret
      ? [
        ["I10: a claim behind 10,000 ready runs of others gets ours", "FerretDB reads the whole collection each time"],
        ...[
          "many workers at once: no run is claimed twice, every run settles once",
          "many commits at once, each planned again after a conflict: the sum is exact",
          "many settle a queue at once: never more than slots are active, and all run",
          "workers and takeovers at once: each run settles once, whoever loses it is told"
        ].map((
          test
        ) => [test, "FerretDB's writes are not atomic: its calls take turns here, and take too long for this"])
      ].map(([test = "", reason = ""]) => ({ test, reason }))
      : []
  })

  TaskStoreSuite.model("mongodb", storeOn(server), server.ferret ? { runs: 15 } : {})
})
