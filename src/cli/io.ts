import type { XmlDocument } from '../xml/document.ts';

/** What a command needs of the host; `main` provides it. */
export interface CommandIo {
  /** Parses a file, or stdin; errors name it. */
  readonly readDocument: (file: string) => XmlDocument;
  readonly listFiles: (directory: string) => readonly string[];
  readonly write: (text: string) => void;
}
