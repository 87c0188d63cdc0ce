/** Asks at most once, and only when it is wanted. */
export function once<V>(read: () => V): () => V {
  let known: { value: V } | undefined;
  return () => {
    known ??= { value: read() };
    return known.value;
  };
}
