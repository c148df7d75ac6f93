/**
 * A trigger of your own: sunrise, wherever you are.
 *
 * The sun is computed as NOAA does (https://gml.noaa.gov/grad/solcalc/solareqns.PDF), to about a minute.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, DateTime, Effect, Layer, Schema } from "effect"
import { CurrentRun, MemoryTaskStore, Task, TaskScheduler, Trigger, TriggerDefinitions } from "punctual"

const day = 86_400_000
const { acos, cos, PI, sin, tan } = Math

/** Sunrise of a day since 1970; not a number where the sun does not rise. */
const sunrise = (place: { readonly latitude: number; readonly longitude: number }, n: number): number => {
  const [year, latitude] = [2 * PI * ((n - 0.5) % 365.2425) / 365.2425, place.latitude * PI / 180]
  const equationOfTime = 229.18 * (0.000075 + 0.001868 * cos(year) - 0.032077 * sin(year) - 0.014615 * cos(2 * year) -
    0.040849 * sin(2 * year))
  const declination = 0.006918 - 0.399912 * cos(year) + 0.070257 * sin(year) - 0.006758 * cos(2 * year) +
    0.000907 * sin(2 * year) - 0.002697 * cos(3 * year) + 0.00148 * sin(3 * year)
  const hourAngle = acos(
    cos(90.833 * PI / 180) / (cos(latitude) * cos(declination)) - tan(latitude) * tan(declination)
  )
  const minutes = 720 - 4 * (place.longitude + hourAngle * 180 / PI) - equationOfTime
  return n * day + Math.round(minutes) * 60_000
}

// A rule is a pure function: the same answer for the same question, on every machine and after every restart.
export const Sunrise = Trigger.define("Sunrise", {
  parameters: { latitude: Schema.Finite, longitude: Schema.Finite },
  next: (place, after) => {
    const today = Math.floor(after / day)
    for (let n = today - 1; n < today + 367; n++) if (sunrise(place, n) > after) return sunrise(place, n)
    return undefined
  },
  format: ({ latitude, longitude }) => `at sunrise at ${latitude}, ${longitude}`
})

const Curtains = Task.make("Curtains")

const CurtainsLive = Curtains.toLayer(
  Effect.fn("Curtains")(function*() {
    const { scheduledAt } = yield* CurrentRun
    yield* Console.log(`open ${DateTime.formatIsoOffset(DateTime.setZoneNamedUnsafe(scheduledAt, "Europe/Berlin"))}`)
  })
)

// It combines like any other trigger.
const berlin = Sunrise.make({ latitude: 52.52, longitude: 13.405 }).pipe(Trigger.during({ weekdays: "mon-fri" }))

export const App = Layer.mergeAll(CurtainsLive, Task.layerScheduled(Curtains, { id: "bedroom", trigger: berlin }))

// Stored are the name and the parameters; this is how the rule is found again.
export const Definitions = TriggerDefinitions.layer(Sunrise)

const Main = TaskScheduler.layer(App).pipe(Layer.provide([Definitions, MemoryTaskStore.layer]))
if (import.meta.main) NodeRuntime.runMain(Layer.launch(Main))
