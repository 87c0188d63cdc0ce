/** What the schema refuses: `keyword` at `instancePath`, a JSON pointer; `parentSchema` is the part that has the keyword. */
export interface SchemaError {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly parentSchema: {
    readonly title?: string;
    readonly properties?: Readonly<Record<string, unknown>>;
  };
  /** Set if the error is about a key and not about a value. */
  readonly propertyName?: string;
}

/** Made by `scripts/generate-validator.mjs`; leaves every mistake in `errors`. */
export const validateConfig: {
  (value: unknown): boolean;
  errors?: readonly SchemaError[] | null;
};
