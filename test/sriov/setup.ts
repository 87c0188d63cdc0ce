import type { TestProject } from 'vitest/node';
import { boot } from './boot.ts';
import { buildImage, findImage } from './image.ts';
import { findMissingPrerequisite } from './prerequisites.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    readonly machine: { readonly agent?: string; readonly console?: string; readonly missing?: string };
  }
}

/** One machine for all test files of the tier. Its build and boot have limits of their own, so none is set on this. */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const missing = await findMissingPrerequisite();
  if (missing !== undefined) {
    project.provide('machine', { missing });
    return undefined;
  }
  const image = findImage() ?? (await step('building the machine', buildImage));
  const { agent, console, stop } = await step('booting it', () => boot(image));
  project.provide('machine', { agent, console });
  return stop;
}

/** These take long enough to want to know what is going on. */
async function step<T>(what: string, action: () => Promise<T>): Promise<T> {
  const start = Date.now();
  console.log(`${what} ...`);
  const result = await action();
  console.log(`${what}: ${Math.round((Date.now() - start) / 1000)} s`);
  return result;
}
