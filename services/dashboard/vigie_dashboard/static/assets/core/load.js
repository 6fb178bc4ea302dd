// What a component loads: the last answer stays while a newer one is on its way.
import { useCallback, useEffect, useRef, useState } from "./ui.js";
import { state, tenant } from "./session.js";

/** @template T @typedef {{data: T | null, error: any, loading: boolean, reload: () => void}} Loaded */

/**
 * Load now, and again when an input changes, the tenant or who is looking among them.
 * @template T @param {(signal: AbortSignal) => Promise<T>} work @param {unknown[]} inputs @returns {Loaded<T>}
 */
export function useLoad(work, inputs) {
  const who = `${state.value} ${tenant.value}`;
  const [turn, setTurn] = useState(0);
  const [answer, setAnswer] = useState(/** @type {{data: any, error: any, loading: boolean, who: string}} */ ({
    data: null, error: null, loading: true, who,
  }));
  const latest = useRef(work);
  latest.current = work;
  useEffect(() => {
    const control = new AbortController();
    setAnswer((old) => ({ ...old, data: old.who === who ? old.data : null, loading: true, who }));
    latest.current(control.signal).then(
      (data) => control.signal.aborted || setAnswer({ data, error: null, loading: false, who }),
      (error) => control.signal.aborted || setAnswer((old) => ({ ...old, error, loading: false })),
    );
    return () => control.abort();
  }, [who, turn, ...inputs]);
  const reload = useCallback(() => setTurn((one) => one + 1), []);
  return { data: answer.data, error: answer.error, loading: answer.loading, reload };
}

/** A number that grows every so many milliseconds while somebody looks, and at once when they come back.
 * @param {number} ms 0: never */
export function useTick(ms) {
  const [tick, setTick] = useState(0);
  useEffect(() => {
    if (!ms) return undefined;
    let last = Date.now();
    const step = () => {
      if (document.hidden || Date.now() - last < ms * 0.9) return;
      last = Date.now();
      setTick((one) => one + 1);
    };
    const timer = setInterval(step, ms);
    document.addEventListener("visibilitychange", step);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", step);
    };
  }, [ms]);
  return tick;
}

/** A value, when it has not changed for a while. @template T @param {T} value @param {number} ms @returns {T} */
export function useLater(value, ms) {
  const [kept, setKept] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setKept(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return kept;
}
