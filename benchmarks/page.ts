export const writePage = (): void => {}
