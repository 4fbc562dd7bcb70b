# Python's qemu.qmp under load, for bench/client.ts.
#
#   python3 load.py SOCKET IN_FLIGHT SECONDS plain|fd       prints COMMANDS SECONDS CPU_SECONDS
import asyncio
import os
import sys
import time

from qemu.qmp import QMPClient

path, in_flight, seconds, kind = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
commands = 0


async def main():
    global commands
    client = QMPClient('load')
    await client.connect(path)
    fd = os.open('/dev/null', os.O_RDONLY)
    one_fd = asyncio.Lock()  # an fd is sent apart from its command

    async def plain():
        await client.execute('query-version')
        return 1

    async def with_fd():
        async with one_fd:
            client.send_fd_scm(fd)
            added = await client.execute('add-fd')
        await client.execute('remove-fd', {'fdset-id': added['fdset-id']})
        return 2

    async def worker(end):
        global commands
        step = plain if kind == 'plain' else with_fd
        while time.monotonic() < end:
            commands += await step()

    async def run(duration):
        end = time.monotonic() + duration
        await asyncio.gather(*(worker(end) for _ in range(in_flight)))

    await run(0.2)
    commands = 0
    begin, cpu = time.monotonic(), time.process_time()
    await run(seconds)
    print(commands, time.monotonic() - begin, time.process_time() - cpu)
    await client.disconnect()


asyncio.run(main())
