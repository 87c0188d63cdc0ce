/** Asks at most once, and only when it is wanted. */
export function once<V>(read: () => V): () => V {
  let known: { value: V } | undefined;
  return () => {
    known ??= { value: read() };
    return known.value;
  };
}

/** Asks at most once for each. */
export function remember<K, V>(read: (key: K) => V): (key: K) => V {
  const known = new Map<K, V>();
  return key => {
    if (!known.has(key)) known.set(key, read(key));
    return known.get(key)!;
  };
}
