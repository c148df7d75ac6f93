import * as TriggerLaws from "@punctual/testing/TriggerLaws"
import { TriggerArbitrary } from "punctual/testing"

TriggerLaws.suite("every form", TriggerArbitrary.any)
