/** Errors that the AI SDK knows as its own, without a line of its code. */
import { InvalidInputError } from '../errors.js';

/** How the AI SDK recognises an error across bundles, by the error's name. */
function mark(error: InvalidInputError, name: string): void {
  error.name = name;
  for (const marker of ['vercel.ai.error', `vercel.ai.error.${name}`]) Object.defineProperty(error, Symbol.for(marker), { value: true });
}

/** What was asked for cannot be had here. The AI SDK's `UnsupportedFunctionalityError.isInstance` holds for it too. */
export class UnsupportedFunctionalityError extends InvalidInputError {
  readonly functionality: string;

  constructor(functionality: string, { message = `${functionality} is not supported`, cause }: { readonly message?: string; readonly cause?: unknown } = {}) {
    super(message, { cause });
    this.functionality = functionality;
    mark(this, 'AI_UnsupportedFunctionalityError');
  }
}

/** There is no such model here. The AI SDK's `NoSuchModelError.isInstance` holds for it too. */
export class NoSuchModelError extends InvalidInputError {
  readonly modelId: string;
  readonly modelType: 'imageModel';

  constructor(modelId: string, modelType: 'imageModel') {
    super(`a desk has no ${modelType}`);
    this.modelId = modelId;
    this.modelType = modelType;
    mark(this, 'AI_NoSuchModelError');
  }
}
