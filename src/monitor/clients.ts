// How many clients are connected to the monitors of a program? QEMU 7.2 closes fds that nobody uses when there are none.

export class MonitorClients {
  /** Called with the new number whenever it changes. */
  onChange: (count: number) => void = () => undefined;
  #count = 0;

  came(): void {
    this.onChange(++this.#count);
  }

  left(): void {
    this.onChange(--this.#count);
  }
}
