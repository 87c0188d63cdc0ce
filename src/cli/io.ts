import type { XmlDocument } from '../xml/document.ts';

/** What a command needs of the host; `main` provides it. */
export interface CommandIo {
  /** A text file, `-` being stdin. Throws `FILE`. */
  readonly readText: (file: string) => string;
  /** Parses a file, or stdin; errors name it. */
  readonly readDocument: (file: string) => XmlDocument;
  /** The same for a file that was found in a directory: what is no regular file there is an error. */
  readonly readListed: (file: string) => XmlDocument;
  readonly listFiles: (directory: string) => readonly string[];
  readonly write: (text: string) => void;
}
