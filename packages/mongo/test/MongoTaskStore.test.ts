import * as TaskStoreSuite from "@punctual/testing/TaskStoreSuite"
import { onServer, storeOn } from "./internal/server.ts"

await onServer((server) => {
  TaskStoreSuite.suite("mongodb", storeOn(server), {
    capabilities: { durable: true, shared: true, notifies: true },
    skip: server.ferret
      ? [
        ["I10: a claim behind 10,000 ready runs of others gets ours", "FerretDB reads the whole collection each time"],
        ["many workers at once: no run is claimed twice, every run settles once", "FerretDB's calls take turns here"],
        [
          "many commits at once, each planned again after a conflict: the sum is exact",
          "FerretDB's calls take turns here"
        ]
      ].map(([test = "", reason = ""]) => ({ test, reason }))
      : []
  })

  TaskStoreSuite.model("mongodb", storeOn(server), server.ferret ? { runs: 15 } : {})
})
