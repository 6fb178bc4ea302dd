// A list that the API gives page by page: one page first, more on demand.
import { useCallback, useEffect, useRef, useState } from "./ui.js";
import { state, tenant } from "./session.js";

/** @typedef {{data: any[] | null, error: any, loading: boolean, reload: () => void, more: (() => void) | null}} Paged */

/**
 * @param {(cursor: string | null, signal: AbortSignal) => Promise<{rows: any[], next: string | null}>} work
 * @param {unknown[]} inputs @param {number} [tick] the first page is loaded again when it grows, while there is no other
 * @returns {Paged}
 */
export function usePaged(work, inputs, tick = 0) {
  const who = `${state.value} ${tenant.value}`;
  const [turn, setTurn] = useState(0);
  const [answer, setAnswer] = useState(/** @type {{rows: any[] | null, next: string | null, error: any, loading: boolean}} */ ({ rows: null, next: null, error: null, loading: true }));
  const control = useRef(/** @type {AbortController | null} */ (null));
  const latest = useRef(work);
  latest.current = work;
  /** @param {string | null} cursor @param {any[]} before */
  const load = (cursor, before) => {
    const mine = new AbortController();
    control.current?.abort();
    control.current = mine;
    setAnswer((old) => ({ ...old, loading: true }));
    latest.current(cursor, mine.signal).then(
      ({ rows, next }) => mine.signal.aborted || setAnswer({ rows: [...before, ...rows], next, error: null, loading: false }),
      (error) => mine.signal.aborted || setAnswer((old) => ({ ...old, error, loading: false })),
    );
  };
  useEffect(() => {
    setAnswer({ rows: null, next: null, error: null, loading: true });
    load(null, []);
    return () => control.current?.abort();
  }, [who, ...inputs]);
  useEffect(() => { if (turn) load(null, []); }, [turn]);
  useEffect(() => { if (tick && answer.next === null) load(null, []); }, [tick]);
  const reload = useCallback(() => setTurn((one) => one + 1), []);
  const more = answer.next === null ? null : () => load(answer.next, answer.rows ?? []);
  return { data: answer.rows, error: answer.error, loading: answer.loading, reload, more };
}
