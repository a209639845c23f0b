/** Releases what was taken; a second call does nothing. */
export type Release = () => void;
