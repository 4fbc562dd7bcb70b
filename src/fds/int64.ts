// What is an id on the wire?

/** A number where it is a safe integer, else a bigint: one value, one representation. */
export type Int64 = number | bigint;
