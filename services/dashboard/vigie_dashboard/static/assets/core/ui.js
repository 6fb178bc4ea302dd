// The view library as all modules use it: one place that knows where it lies.
import { Fragment, h, render } from "../vendor/preact.mjs";
import htm from "../vendor/htm.mjs";

export { Fragment, render };
export { useCallback, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "../vendor/hooks.mjs";
export { batch, computed, effect, signal, useComputed, useSignal } from "../vendor/signals.mjs";

/** Markup as a tagged template. What stands in `${}` is text or a component, never markup. */
export const html = htm.bind(h);
